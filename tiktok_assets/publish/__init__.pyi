from .comparison import Difference as Difference
from .comparison import compare_tables as compare_tables
from .destination import DestinationError as DestinationError
from .opening import open_destination as open_destination
from .publisher import PublishResult as PublishResult
from .publisher import publish_tables as publish_tables
from .stored_files import StoredTable as StoredTable
