from .component import TikTokAdsComponent as TikTokAdsComponent
