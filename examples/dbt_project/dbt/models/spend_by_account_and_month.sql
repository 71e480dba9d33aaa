-- What each account spent in each month, in the currency of the account.
select
    report.advertiser_id,
    account.name,
    report.currency,
    cast(date_trunc('month', report.date) as date) as month,
    cast(sum(report.spend) as decimal(18, 4)) as spend,
    sum(report.impressions) as impressions,
    sum(report.clicks) as clicks,
    sum(report.conversion) as conversions
from {{ source('tiktok', 'advertiser_report_daily') }} as report
left join {{ source('tiktok', 'advertisers') }} as account using (advertiser_id)
group by all
