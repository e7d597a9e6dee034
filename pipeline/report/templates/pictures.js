// Pictures: made of their data only for the open finding and its neighbours, and shown in full in a dialog.

const NEAR = 2; // neighbours on either side
const near = new Map(); // entry → its pictures

/** The picture of a number: {uri, width, height}; nothing of null. Several findings and rulings may have the same one. */
const pictureAt = (number) => (number === null ? {} : embedded(`picture-${number}`));

/** The pictures of a finding: {words, uri, width, height}. */
function picturesOf(entry) {
  if (!near.has(entry)) near.set(entry, entry.pictures.map(({ words, picture }) => ({ words, ...pictureAt(picture) })));
  return near.get(entry);
}

/** Lets go of all pictures but those of these findings. */
function keepNear(wanted) {
  for (const entry of near.keys()) if (!wanted.includes(entry)) near.delete(entry);
  for (const entry of wanted) for (const picture of picturesOf(entry)) if (picture.uri) new Image().src = picture.uri;
}

/** One picture of a finding as an element; words where there is none to show. */
function pictureOf(entry, index) {
  const picture = picturesOf(entry)[index];
  const words = spoken(picture.words);
  if (!picture.uri) return h("p", { class: "words" }, words);
  const alt = say("picture_alt", { n: index + 1, of: entry.images_total, id: visible(entry.name ?? say("no_id")) });
  return h("figure", {},
    h("img", { src: picture.uri, width: picture.width, height: picture.height, alt, decoding: "async" }),
    words && h("figcaption", {}, words));
}

const full = { entry: null, index: 0, zoom: 1 };

function openFull(entry, index) {
  Object.assign(full, { entry, index, zoom: 1 });
  showFull();
  if (!byId("full").open) byId("full").showModal();
}

function showFull() {
  const count = picturesOf(full.entry).length;
  fill(byId("full-picture"), pictureOf(full.entry, full.index));
  fill(byId("full-place"), say("picture_place", { n: full.index + 1, of: count }));
  zoomFull(1);
}

/** The next picture in full, or the one before; the case behind follows. */
function stepFull(by) {
  const count = picturesOf(full.entry).length;
  full.index = (full.index + by + count) % count;
  showFull();
  showPicture(full.index);
}

function zoomFull(zoom) {
  full.zoom = Math.min(Math.max(zoom, 1), 8);
  const image = byId("full-picture").querySelector("img");
  if (!image) return;
  const natural = picturesOf(full.entry)[full.index];
  const scale = fitting(natural) * full.zoom;
  image.style.width = `${natural.width * scale}px`;
  image.style.height = `${natural.height * scale}px`;
}

/** By how much a picture grows to fill the window. */
const fitting = ({ width, height }) => Math.min((innerWidth - 32) / width, (innerHeight - 88) / height);
