// Save the numbers of the figure in #ID as CSV, as they are in the browser: nothing is computed again.
() => {
  const plot = document.querySelector("#ID .js-plotly-plot");
  if (!plot) return;
  const rows = [["series", "x", "y", "value", "label"]];
  const at = (list, i) => list?.[i] ?? "";
  const coordinate = (list, start, step, i) => list ? list[i] : (start ?? 0) + i * (step ?? 1);
  for (const trace of plot._fullData) { // where plotly.js has unpacked the arrays
    if (trace.type === "heatmap") {
      [...trace.z].forEach((row, i) => [...row].forEach((value, j) => {
        if (value === null || Number.isNaN(value)) return;
        const x = coordinate(trace.x, trace.x0, trace.dx, j);
        const y = coordinate(trace.y, trace.y0, trace.dy, i);
        rows.push([trace._input.name, x, y, value, at(at(trace.hovertext ?? trace.text, i), j)]);
      }));
    } else if (trace.type === "image") {
      const told = new Set([""]); // a patch may be drawn as several cells
      [...(trace.text ?? [])].forEach((row, y) => [...row].forEach((text, x) => {
        if (!told.has(text)) rows.push([trace._input.name, x, y, "", text]);
        told.add(text);
      }));
    } else {
      [...trace.y].forEach((y, i) => rows.push([trace._input.name, at(trace.x, i), y, "", at(trace.text, i)]));
    }
  }
  const quoted = value => `"${String(value ?? "").replaceAll('"', '""')}"`;
  const text = rows.map(row => row.map(quoted).join(",")).join("\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: "text/csv"}));
  link.download = "ID.csv";
  link.click();
  URL.revokeObjectURL(link.href);
}
