// Interaction with the first drawing: pointer and keys on the table, and Play. `stage.py` draws it.
(() => {
  const PACE = 1600, GAP = 14; // milliseconds of a step, and between the starts of two cells
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const read = new WeakMap();
  const dataOf = stage => {
    if (!read.has(stage)) read.set(stage, JSON.parse(stage.dataset.stage));
    return read.get(stage);
  };
  const placeOf = patch => `(${patch.replace(",", ", ")})`;
  const spoken = (stage, row, column) => {
    const {patches, channels, values} = dataOf(stage);
    return `patch ${placeOf(patches[row])}, channel ${channels[column]}: ${values[row][column]}`;
  };

  // the value under the pointer: its row and column are marked, and a click selects it
  const aim = (grid, row, column) => {
    const stage = grid.closest(".stage"), {patches, channels, selected, sublayer} = dataOf(stage);
    const again = row === selected[0] && column === selected[1];
    grid.dataset.words = again ? `part=${sublayer}` : `patch=${patches[row]}&channel=${channels[column]}`;
    grid.style.setProperty("--at-row", row);
    grid.style.setProperty("--at-column", column);
    grid.classList.add("aimed");
    stage.querySelector(".table .value").textContent = spoken(stage, row, column);
    instrument.mark(placeOf(patches[row]));
  };
  const rest = grid => {
    const stage = grid.closest(".stage"), {selected} = dataOf(stage);
    grid.classList.remove("aimed");
    stage.querySelector(".table .value").textContent = spoken(stage, ...selected);
    instrument.mark();
  };
  document.addEventListener("pointermove", event => {
    const grid = event.target.closest?.(".stage .grid");
    const left = document.querySelector(".stage .grid.aimed");
    if (left && left !== grid) rest(left);
    if (!grid || grid.closest(".pinned")) return;
    const {left: x, top: y, width, height} = grid.getBoundingClientRect(), {values} = dataOf(grid.closest(".stage"));
    const at = (place, count) => Math.min(count - 1, Math.max(0, Math.floor(place * count)));
    aim(grid, at((event.clientY - y) / height, values.length), at((event.clientX - x) / width, values[0].length));
  });
  document.addEventListener("keydown", event => {
    const [down, across] = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[event.key] ?? [0, 0];
    const grid = event.target.closest?.(".stage .grid"), stop = event.target.closest?.(".rail li button");
    if (grid && (down || across || event.key === "Enter")) {
      const {selected: [row, column], values} = dataOf(grid.closest(".stage"));
      const within = (place, count) => Math.min(count - 1, Math.max(0, place));
      event.preventDefault();
      event.stopPropagation();
      if (!down && !across) aim(grid, row, column);
      else aim(grid, within(row + down, values.length), within(column + across, values[0].length));
      grid.click();
    }
    const next = stop && across && stop.closest("ol").children[[...stop.closest("ol").children].indexOf(stop.parentElement) + across];
    if (next) {
      event.preventDefault();
      event.stopPropagation();
      next.firstChild.focus();
      next.firstChild.click();
    }
  }, {capture: true});

  // if the rail is wider than the window, scroll the selected depth to its middle
  document.addEventListener("filled", event => {
    const here = event.target.querySelector(".rail [aria-current=true]"), rail = here?.closest("ol");
    if (rail) rail.scrollLeft = here.parentElement.offsetLeft - rail.offsetLeft - rail.clientWidth / 2;
  });

  // Play: cells fly between the table and the maps, so a column becomes a map, and a row stays a row
  const boxIn = (stage, element, [row, column], [rows, columns]) => {
    const outer = stage.getBoundingClientRect(), {left, top, width, height} = element.getBoundingClientRect();
    const [w, h] = [width / columns, height / rows];
    return {x: left - outer.left + column * w, y: top - outer.top + row * h, w, h};
  };
  const fly = (stage, look, from, to, index) => {
    if (still.matches) return null;
    const cell = Object.assign(document.createElement("i"), {className: "flying"});
    Object.assign(cell.style, look, {left: `${from.x}px`, top: `${from.y}px`, width: `${from.w}px`, height: `${from.h}px`});
    stage.append(cell);
    const there = `translate(${to.x - from.x}px, ${to.y - from.y}px) scale(${to.w / from.w}, ${to.h / from.h})`;
    const timing = {duration: PACE - 300, delay: GAP * index, easing: "ease-in-out", fill: "both"};
    return cell.animate([{transform: "none"}, {transform: there}], timing).finished.finally(() => cell.remove());
  };
  const lines = (stage, ends, middle, weights) => {
    const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    drawing.classList.add("lines");
    drawing.innerHTML = ends.map(({x, y, w, h}, i) => `<line class="${weights[i] > 0 ? "for" : "against"}" pathLength="1"
      style="opacity: ${Math.abs(weights[i])}" x1="${x + w / 2}" y1="${y + h / 2}" x2="${middle.x}" y2="${middle.y}"/>`).join("");
    stage.append(drawing);
    return pause(PACE);
  };
  const pause = ms => new Promise(resolve => setTimeout(resolve, still.matches ? 0 : ms));
  const clear = stage => { for (const one of stage.querySelectorAll(".flying, .lines")) one.remove(); };

  const stepsOf = stage => {
    const data = dataOf(stage), grid = stage.querySelector(".grid"), all = [data.patches.length, data.channels.length];
    const image = name => stage.querySelector(`${name} svg`);
    const places = data.patches.map(patch => patch.split(",").map(Number));
    const cellsOf = {
      a: {
        table: data.patches.map((_, row) => boxIn(stage, grid, [row, data.selected[1]], all)),
        in: card => places.map(place => boxIn(stage, image(`.sublayer.a ${card}`), place, data.map)),
      },
      b: {
        table: data.channels.map((_, column) => boxIn(stage, grid, [data.selected[0], column], all)),
        in: card => data.channels.map((_, i) => boxIn(stage, image(`.sublayer.b ${card}`), [0, i], [1, data.channels.length])),
      },
    };
    const move = (colours, from, to) => Promise.all(
      colours.map((background, i) => fly(stage, {background}, from[i], to[i], i)));
    const table = step => {
      stage.dataset.table = step;
      stage.querySelector(".table b").textContent = data.titles[step];
    };
    const unit = sublayer => {
      const {x, y, w, h} = boxIn(stage, image(`.sublayer.${sublayer} .bent`), [0, 0], [1, 1]);
      return {x: x + w / 2, y: y + h / 2};
    };
    const cut = async () => {
      table(0);
      const rows = stage.querySelector(".rows"), count = places.length, from = places.map(place => boxIn(stage, image(".picture"), place, data.map));
      const backgroundImage = `url(${rows.querySelector("image").href.baseVal})`, backgroundSize = `100% ${100 * count}%`;
      await Promise.all(from.map((box, i) => {
        const look = {backgroundImage, backgroundSize, backgroundPosition: `0 ${100 * i / Math.max(1, count - 1)}%`};
        return fly(stage, look, box, boxIn(stage, rows, [i, 0], [count, 1]), i);
      }));
    };
    const sublayer = name => [
      () => { stage.dataset.sublayer = name; return move(data[name].line, cellsOf[name].table, cellsOf[name].in(".in")); },
      () => lines(stage, cellsOf[name].in(".read"), unit(name), data[name].read),
      () => lines(stage, cellsOf[name].in(".write"), unit(name), data[name].write),
      () => move(data[name].update, cellsOf[name].in(".out"), cellsOf[name].table),
      () => { table(name === "a" ? 1 : 2); grid.dataset.sweep = name; return pause(PACE); },
    ];
    const answer = async () => {
      delete grid.dataset.sweep;
      delete stage.dataset.sublayer;
      stage.classList.add("rising");
      await pause(2 * PACE);
    };
    return [cut, ...sublayer("a"), ...sublayer("b"), answer];
  };
  const end = stage => {
    const {titles, shown} = dataOf(stage);
    stage.querySelector(".table b").textContent = titles[shown];
    delete stage.dataset.table;
    delete stage.dataset.sublayer;
    delete stage.querySelector(".grid").dataset.sweep;
    stage.classList.remove("playing", "rising");
    clear(stage);
    stage.querySelector("[data-do=play]").textContent = "Play";
    tell(stage, "");
  };
  const tell = (stage, text) => {
    stage.querySelector(".rail .step").textContent = text;
    if (text) instrument.announce(text);
  };
  // the current element of the same drawing: a measurement may have replaced it
  const present = stage => [...document.querySelectorAll(".stage")].find(one => one.dataset.stage === stage.dataset.stage && !one.matches(".open"));
  let next, ahead, turn = 0; // function that starts the next step; whether it was pressed early; number of this play
  const pressed = () => new Promise(resolve => {
    next = resolve;
    if (ahead) next();
    ahead = false;
  }).then(() => { next = undefined; });
  const stop = stage => { turn += 1; end(stage); };
  // bySteps: each step waits for a press; always with reduced motion
  const play = async (stage, bySteps) => {
    const mine = ++turn;
    next = ahead = undefined;
    for (const [i, text] of dataOf(stage).steps.entries()) {
      stage.classList.add("playing");
      stage.querySelector("[data-do=play]").textContent = "Stop";
      tell(stage, text);
      clear(stage);
      await stepsOf(stage)[i]();
      if (bySteps) await pressed();
      if (mine !== turn) return; // stopped, or started again
      stage = present(stage);
      if (!stage) return; // something else is selected
    }
    end(stage);
  };
  document.addEventListener("click", event => {
    const button = event.target.closest?.(".stage [data-do]"), stage = button?.closest(".stage");
    const does = button?.dataset.do, going = stage?.classList.contains("playing");
    if (does === "play") (going ? stop(stage) : play(stage, still.matches));
    if (does === "step") {
      if (!going) play(stage, true);
      else if (next) next();
      else ahead = true;
    }
  });
  document.addEventListener("keydown", event => {
    const open = event.key === "Escape" && !event.target.closest?.(".lecture") && document.querySelector(".lens.open .stage.open .close");
    if (open) open.click();
  });
})();
