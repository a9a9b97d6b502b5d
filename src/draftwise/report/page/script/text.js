// Texts of models and data files, made visible: signs for control characters, lone surrogates and marks of direction.

const ODD = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff]|\p{Surrogate}/gu;

function nameOfOdd(character) {
  const code = character.codePointAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** A text for a label: one line, with a sign for every character that could not be seen or would move its neighbours. */
function shown(text) {
  return String(text).replace(ODD, nameOfOdd);
}

/** A text as nodes, each odd character in a frame of its own; line breaks stay and are marked. */
function textNodes(text) {
  const nodes = [];
  let start = 0;
  for (const found of text.matchAll(ODD)) {
    const character = found[0];
    if (character === "\t") continue;
    if (found.index > start) nodes.push(text.slice(start, found.index));
    if (character === "\n") nodes.push(make("span", { class: "odd", title: "line break" }, "⏎"), "\n");
    else nodes.push(make("span", { class: "odd" }, nameOfOdd(character)));
    start = found.index + character.length;
  }
  if (start < text.length) nodes.push(text.slice(start));
  return nodes;
}

function shortened(text, most) {
  const characters = [...shown(text)];
  return characters.length <= most ? characters.join("") : `${characters.slice(0, most - 1).join("")}…`;
}
