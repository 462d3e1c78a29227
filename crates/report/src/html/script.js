"use strict";
// Sorts a table by the column whose header was pressed; a second press turns the order.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const th = button.closest("th"), table = th.closest("table"), body = table.tBodies[0];
    const index = [...th.parentNode.children].indexOf(th);
    const down = th.getAttribute("aria-sort") !== "descending";
    for (const other of th.parentNode.children) other.removeAttribute("aria-sort");
    th.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = (row) => {
      const cell = row.children[index];
      return cell.dataset.v !== undefined ? Number(cell.dataset.v) : cell.textContent;
    };
    const known = (v) => typeof v === "string" || Number.isFinite(v);
    const rows = [...body.rows].sort((a, b) => {
      const x = value(a), y = value(b);
      // What is not known stays at the end in both orders.
      if (!known(x) || !known(y)) return known(y) - known(x);
      const order = typeof x === "string" ? String(x).localeCompare(String(y)) : x - y;
      return down ? -order : order;
    });
    body.append(...rows);
  });
}
// A closed fold would be missing on paper.
addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("details")) fold.open = true;
});
