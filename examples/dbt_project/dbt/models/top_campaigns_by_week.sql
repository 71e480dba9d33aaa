-- The campaigns of each account by their spend of each week, which begins on Monday.
with weekly as (
    select
        advertiser_id,
        currency,
        cast(date_trunc('week', date) as date) as week,
        campaign_id,
        max_by(campaign_name, date) as campaign_name,
        cast(sum(spend) as decimal(18, 4)) as spend,
        sum(conversion) as conversions
    from {{ source('tiktok', 'campaign_report_daily') }}
    group by all
)

select
    *,
    row_number() over (partition by advertiser_id, week order by spend desc, campaign_id) as place
from weekly
