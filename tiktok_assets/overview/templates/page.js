"use strict";
// Draws each chart when it scrolls near the viewport, in the colours of the page, and again when the colour scheme changes.
(() => {
  const drawings = JSON.parse(document.getElementById("drawings").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const places = [...document.querySelectorAll("[data-chart]")];
  const drawn = new Map();

  function config(width) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const [ink, soft, line] = ["--ink", "--soft", "--line"].map(colour);
    return {
      background: "transparent",
      font: getComputedStyle(document.body).fontFamily,
      view: { stroke: null },
      axis: { labelColor: soft, titleColor: soft, gridColor: line, domainColor: line, tickColor: line, labelFontSize: 12, labelPadding: 6 },
      legend: width > 420
        ? { labelColor: ink, labelFontSize: 12, columns: 2, labelLimit: width / 2 - 40 }
        : { labelColor: ink, labelFontSize: 12, columns: 1, labelLimit: width - 40 },
      text: { color: ink },
      bar: { color: "#4a7dff" },
      range: { category: ["#4a7dff", "#d9640a", "#12a37f", "#c2477f", "#8a63d2", "#b58900", "#d64545", "#7a8594"] },
    };
  }

  async function draw(place) {
    const { kind, days, series, rows } = drawings.charts[place.dataset.chart];
    const measure = kind.split("-")[0];
    // A date without a time is UTC to a browser, which west of Greenwich is the day before.
    const full = rows.map(([day, name, value, complete]) => ({ date: `${days[day]}T00:00:00`, series: series[name], [measure]: value, is_complete: complete === 1 }));
    const spec = { ...drawings.kinds[kind], datasets: { rows: full } };
    try {
      drawn.get(place)?.finalize();
      drawn.set(place, await vegaEmbed(place, spec, {
        actions: false, renderer: "svg", config: config(place.clientWidth), tooltip: { theme: dark.matches ? "dark" : "light" },
      }));
      place.dataset.drawn = "yes";
    } catch (error) {
      place.textContent = "This chart could not be drawn; its values are in the tables.";
      place.classList.add("failed");
      console.error(error);
    }
  }

  const near = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      near.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "600px" });
  places.forEach((place) => near.observe(place));
  dark.addEventListener("change", () => [...drawn.keys()].forEach(draw));
  window.addEventListener("beforeprint", () => places.filter((place) => !drawn.has(place)).forEach(draw));
})();
