"""The columns of one fact, in order, and which of them move after the day is over."""

from typing import Final

COLUMNS: Final = (
    "spend",
    "impressions",
    "gross_impressions",
    "clicks",
    "conversion",
    "real_time_conversion",
    "video_play_actions",
    "video_watched_2s",
    "video_watched_6s",
    "video_views_p25",
    "video_views_p50",
    "video_views_p75",
    "video_views_p100",
    "play_seconds",
    "engaged_view",
    "engaged_view_15s",
    "likes",
    "comments",
    "shares",
    "follows",
    "profile_visits",
    "clicks_on_music_disc",
    "engagements",
    "complete_payment",
    "total_complete_payment_rate",
    "onsite_shopping",
    "total_onsite_shopping_value",
    "initiate_checkout",
    "web_event_add_to_cart",
    "total_landing_page_view",
    "page_content_view_events",
    "vta_conversion",
    "cta_conversion",
    "voucher_spend",
    "result",
    "real_time_result",
    "reach",
)
POSITION: Final = {name: position for position, name in enumerate(COLUMNS)}
REACH: Final = POSITION["reach"]
SPEND: Final = POSITION["spend"]
IMPRESSIONS: Final = POSITION["impressions"]
RESULT: Final = POSITION["result"]
REAL_TIME_RESULT: Final = POSITION["real_time_result"]

# Lightly corrected the next day (dossier 7, "Spend/impressions").
CORRECTED: Final = tuple(POSITION[name] for name in ("spend", "impressions", "gross_impressions"))
# Credited to the day of the interaction: they grow for up to 28 days (dossier 7, "Restatement").
GROWING: Final = tuple(
    POSITION[name]
    for name in (
        "conversion",
        "complete_payment",
        "total_complete_payment_rate",
        "onsite_shopping",
        "total_onsite_shopping_value",
        "initiate_checkout",
        "web_event_add_to_cart",
        "vta_conversion",
        "cta_conversion",
    )
)
# Credited to the day of the conversion: settled with the next day's correction (dossier 7).
SETTLING: Final = (POSITION["real_time_conversion"],)
# 16 hours late (dossier 7).
LATE: Final = (POSITION["voucher_spend"],)
