"use strict";
const looked = JSON.parse(document.getElementById("looked").textContent);
for (const select of document.querySelectorAll("select[data-nf]")) {
  const tree = document.querySelector(`[data-tree="${CSS.escape(select.dataset.nf)}"]`);
  select.addEventListener("change", () => {
    const paths = new Set(select.value ? looked[select.dataset.nf][select.value] : []);
    tree.classList.toggle("filtered", select.value !== "");
    for (const leaf of tree.querySelectorAll(".leaf")) {
      leaf.classList.toggle("looked", paths.has(Number(leaf.dataset.path)));
    }
  });
}
// What is folded away would be missing on paper.
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details:not([open])")) {
    details.open = true;
    details.dataset.opened = "";
  }
});
addEventListener("afterprint", () => {
  for (const details of document.querySelectorAll("details[data-opened]")) {
    details.open = false;
    delete details.dataset.opened;
  }
});
