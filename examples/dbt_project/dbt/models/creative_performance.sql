-- Spend and rates of each creative over all stored days, from sums.
select
    daily.advertiser_id,
    daily.creative_id,
    creative.creative_name,
    daily.currency,
    cast(sum(daily.spend) as decimal(18, 4)) as spend,
    sum(daily.impressions) as impressions,
    sum(daily.clicks) / nullif(sum(daily.impressions), 0) as click_rate,
    sum(daily.video_watched_2s) / nullif(sum(daily.impressions), 0) as hook_rate,
    cast(sum(daily.spend) / nullif(sum(daily.conversion), 0) as decimal(18, 4)) as cost_per_conversion
from {{ source('tiktok', 'creative_daily') }} as daily
left join {{ source('tiktok', 'creatives') }} as creative using (advertiser_id, creative_id)
group by all
