"use strict";
// Sorts and filters the tables, and copies them or saves them as CSV. Without it each table stands in its stored order.
(() => {
  // The same characters as `escaping.escape_spreadsheet_cell`: a spreadsheet would run such a text as a formula.
  const FORMULA = /^[=+\-@\t\r\n]/;

  const isNumber = (text) => text !== "" && Number.isFinite(Number(text));

  // The exact figure of a cell, or its text without notes.
  function valueOf(cell) {
    if (cell.dataset.v !== undefined) return cell.dataset.v;
    const name = cell.querySelector("bdi");
    if (name) return name.textContent;
    const copy = cell.cloneNode(true);
    copy.querySelectorAll(".note, .spark").forEach((one) => one.remove());
    const text = copy.textContent.trim().replace(/\s+/g, " ");
    return text === "\u2013" ? "" : text;
  }

  function exported(cell) {
    const text = valueOf(cell);
    return cell.dataset.v !== undefined && isNumber(text) ? text : text.replace(FORMULA, "'$&");
  }

  function linesOf(table) {
    const columns = [...table.tHead.rows[0].cells].map((one) => !one.classList.contains("roomy"));
    const heads = [...table.tHead.rows[0].cells].map((cell) => (cell.querySelector("button") ?? cell).textContent.trim());
    // A second column of the same name says whose week before it is.
    const titles = heads.map((head, index) => (head === "Week before" ? `${heads[index - 1]}, week before` : head));
    const rows = [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => [...row.cells].map(exported));
    return [titles, ...rows].map((row) => row.filter((_, index) => columns[index]));
  }

  const toCsv = (lines) => lines.map((row) => row.map((one) => (/[",\r\n]/.test(one) ? `"${one.replaceAll('"', '""')}"` : one)).join(",")).join("\r\n") + "\r\n";
  const toTabs = (lines) => lines.map((row) => row.map((one) => one.replace(/[\t\r\n]+/g, " ")).join("\t")).join("\n");

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // A page that is neither from a file nor https has no clipboard; the older way needs a selected text.
      const area = document.body.appendChild(document.createElement("textarea"));
      area.value = text;
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      if (!done) throw new Error("the browser does not allow it");
    }
  }

  function save(text, name) {
    const link = document.createElement("a");
    // Spreadsheets read UTF-8 only with a byte order mark.
    link.href = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function button(text, action) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.addEventListener("click", action);
    return made;
  }

  function addTools(place, table) {
    const tools = document.createElement("div");
    tools.className = "tools";
    const said = document.createElement("span");
    said.setAttribute("role", "status");
    const label = place.getAttribute("aria-label");
    if (place.dataset.find && table.tBodies[0].rows.length > 5) {
      const find = document.createElement("input");
      find.type = "search";
      find.placeholder = place.dataset.find;
      find.setAttribute("aria-label", `${place.dataset.find}: ${label}`);
      find.addEventListener("input", () => {
        const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
        const rows = [...table.tBodies[0].rows];
        for (const row of rows) {
          // Names only: a date or a figure would match a number in a name.
          const text = [...row.querySelectorAll("bdi")].map((one) => one.textContent).join(" ").toLowerCase();
          row.hidden = !words.every((word) => text.includes(word));
        }
        const shown = rows.filter((row) => !row.hidden).length;
        said.textContent = words.length ? `${shown} of ${rows.length}` : "";
      });
      tools.append(find);
    }
    const copyButton = button("Copy", async () => {
      try {
        await copy(toTabs(linesOf(table)));
        said.textContent = "Copied";
      } catch (error) {
        said.textContent = `Not copied: ${error.message}`;
      }
    });
    const saveButton = button("Save as CSV", () => save(toCsv(linesOf(table)), `${place.dataset.file}.csv`));
    copyButton.setAttribute("aria-label", `Copy: ${label}`);
    saveButton.setAttribute("aria-label", `Save as CSV: ${label}`);
    tools.append(copyButton, saveButton, said);
    place.before(tools);
  }

  function addSorting(table) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, index) => {
      const kind = head.dataset.sort;
      if (!kind) return;
      const sorter = button(head.textContent, () => {
        const first = kind === "text" ? "ascending" : "descending";
        const other = first === "ascending" ? "descending" : "ascending";
        const order = head.getAttribute("aria-sort") === first ? other : first;
        heads.forEach((one) => one.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", order);
        sort(table, index, kind, order === "ascending" ? 1 : -1);
      });
      head.replaceChildren(sorter);
    });
  }

  function sort(table, index, kind, sign) {
    const keyed = [...table.tBodies[0].rows].map((row) => {
      const text = valueOf(row.cells[index]);
      return { row, text, number: text === "" ? null : Number(text), group: row.dataset.group ?? "" };
    });
    keyed.sort((a, b) => {
      // Amounts of different currencies cannot be compared, so each currency is sorted by itself.
      if (kind === "money" && a.group !== b.group) return a.group < b.group ? -1 : 1;
      if (kind === "text") return sign * a.text.localeCompare(b.text, undefined, { numeric: true });
      // A missing value is last in either order.
      if (a.number === null || b.number === null) return (a.number === null) - (b.number === null);
      return sign * (a.number - b.number);
    });
    table.tBodies[0].append(...keyed.map((one) => one.row));
  }

  for (const place of document.querySelectorAll("[data-file]")) {
    const table = place.querySelector("table");
    addTools(place, table);
    addSorting(table);
  }
})();
