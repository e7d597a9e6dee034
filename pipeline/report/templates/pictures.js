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

const full = { pictures: [], index: 0, zoom: 1, follow: null };

/** Shows the pictures of a finding in full, from the one that is open; the case behind follows. */
const openFull = (entry) => openPictures(entry.pictures.map((_, index) => () => pictureOf(entry, index)), shownPicture, showPicture);

/** Shows pictures in full, from the one with this index; each is made when it is its turn. */
function openPictures(pictures, index, follow = () => {}) {
  Object.assign(full, { pictures, index, zoom: 1, follow });
  showFull();
  if (!byId("full").open) byId("full").showModal();
}

function showFull() {
  fill(byId("full-picture"), full.pictures[full.index]());
  fill(byId("full-place"), say("picture_place", { n: full.index + 1, of: full.pictures.length }));
  zoomFull(1);
}

/** The next picture in full, or the one before. */
function stepFull(by) {
  const count = full.pictures.length;
  full.index = (full.index + by + count) % count;
  showFull();
  full.follow(full.index);
}

/** Moves what is seen of an enlarged picture, by pixels. */
const panFull = (left, top) => byId("full-picture").scrollBy({ left, top, behavior: "instant" });

function zoomFull(zoom) {
  full.zoom = Math.min(Math.max(zoom, 1), 8);
  const image = byId("full-picture").querySelector("img");
  if (!image) return;
  const natural = { width: Number(image.getAttribute("width")), height: Number(image.getAttribute("height")) };
  const scale = fitting(natural) * full.zoom;
  image.style.width = `${natural.width * scale}px`;
  image.style.height = `${natural.height * scale}px`;
}

/** By how much a picture grows to fill the window. */
const fitting = ({ width, height }) => Math.min((innerWidth - 32) / width, (innerHeight - 88) / height);
