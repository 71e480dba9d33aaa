from .component.component import TikTokAdsComponent as TikTokAdsComponent
