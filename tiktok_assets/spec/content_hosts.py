"""The hosts from which pictures of videos, images and posts, and the files of report tasks are downloaded."""

CONTENT_HOST_SUFFIXES = (
    "tiktokcdn.com",  # mengxingxinqing/tiktok_ads, get_info_about_videos: p16-sign-sg.tiktokcdn.com
    "ibytedtos.com",  # mengxingxinqing/tiktok_ads: sf16-adcdn-sg.ibytedtos.com
    # In no page of the documentation, but in responses that public projects have recorded or allow:
    "tiktokcdn-us.com",  # p16-common-sign.tiktokcdn-us.com
    "tiktokcdn-eu.com",  # the same in Europe
    "ibyteimg.com",  # p16-ad-sg.ibyteimg.com, pictures of ads
)
"""Domains of TikTok's content network. A picture of another host is not downloaded."""


def is_content_host(host: str) -> bool:
    """Return whether a host belongs to TikTok's content network.

    >>> is_content_host("p16-sign-sg.tiktokcdn.com"), is_content_host("eviltiktokcdn.com")
    (True, False)
    """
    return _is_below(host, CONTENT_HOST_SUFFIXES)


def is_report_file_host(host: str) -> bool:
    """Return whether a host may have the file of a report task; the documentation shows ads.tiktok.com.

    >>> is_report_file_host("ads.tiktok.com"), is_report_file_host("ads.tiktok.com.example")
    (True, False)
    """
    return _is_below(host, ("tiktok.com", *CONTENT_HOST_SUFFIXES))


def _is_below(host: str, suffixes: tuple[str, ...]) -> bool:
    name = host.lower().rstrip(".")
    return any(name == suffix or name.endswith(f".{suffix}") for suffix in suffixes)
