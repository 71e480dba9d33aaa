"use strict";
// Sorts and filters the creatives of each wall and shows the first of them. Without it all of them stand in their stored order.
(() => {
  const SHOWN = 12;
  const ORDERS = { spend: "Spend", hook: "Hook rate", hold: "Hold rate", ctr: "Click rate", hookChange: "Hook rate, largest fall" };
  // The change of the hook rate is sorted by the largest fall, all others by the largest value.
  const SMALLEST_FIRST = new Set(["hookChange"]);

  function addTools(list) {
    const cards = [...list.children];
    const label = list.getAttribute("aria-label");
    if (cards.length < 2) return;
    let all = cards.length <= SHOWN;

    const tools = document.createElement("div");
    tools.className = "tools";
    const find = document.createElement("input");
    find.type = "search";
    find.placeholder = list.dataset.find;
    find.setAttribute("aria-label", `${list.dataset.find}: ${label}`);
    const orders = document.createElement("select");
    orders.setAttribute("aria-label", `Order: ${label}`);
    for (const [key, text] of Object.entries(ORDERS)) {
      if (cards.some((card) => card.dataset[key])) orders.add(new Option(`By ${text[0].toLowerCase()}${text.slice(1)}`, key));
    }
    const more = document.createElement("button");
    more.type = "button";
    more.className = "more";
    const said = document.createElement("span");
    said.setAttribute("role", "status");

    function show() {
      const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
      const found = [...list.children].filter((card) => {
        const text = [...card.querySelectorAll("bdi")].map((one) => one.textContent).join(" ").toLowerCase();
        card.hidden = !words.every((word) => text.includes(word));
        return !card.hidden;
      });
      if (!all && !words.length) found.slice(SHOWN).forEach((card) => { card.hidden = true; });
      said.textContent = words.length ? `${found.length} of ${cards.length}` : "";
      more.hidden = cards.length <= SHOWN || words.length > 0;
      more.textContent = all ? `Show the first ${SHOWN}` : `Show all ${cards.length}`;
      more.setAttribute("aria-expanded", String(all));
    }

    function sort() {
      const key = orders.value;
      const sign = SMALLEST_FIRST.has(key) ? 1 : -1;
      const value = (card) => (card.dataset[key] ? Number(card.dataset[key]) : null);
      const sorted = cards.toSorted((a, b) => {
        const [one, other] = [value(a), value(b)];
        // A missing value is last in either order.
        if (one === null || other === null) return (one === null) - (other === null);
        return sign * (one - other);
      });
      list.append(...sorted);
      show();
    }

    find.addEventListener("input", show);
    orders.addEventListener("change", sort);
    more.addEventListener("click", () => {
      all = !all;
      show();
    });
    if (cards.length > 5) tools.append(find);
    tools.append(orders, said);
    list.before(tools);
    list.after(more);
    show();
  }

  document.querySelectorAll(".wall").forEach(addTools);
})();
