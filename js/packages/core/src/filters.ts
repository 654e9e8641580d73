/** Weights of the first layers' units as small pictures: blue is negative, red positive. */

/** The pictures of one layer as they are sent: unit after unit, row by row, from -127 to 127. */
export interface RawFilters {
  node: number;
  rows: number;
  columns: number;
  values: DataView;
}

interface Sheet {
  image: HTMLCanvasElement;
  rows: number;
  columns: number;
  across: number;
}

export class Filters {
  private sheets = new Map<number, Sheet>();

  constructor(all: readonly RawFilters[]) {
    for (const raw of all) {
      const sheet = sheetOf(raw);
      if (sheet) this.sheets.set(raw.node, sheet);
    }
  }

  /** Draws the picture of one unit into a square, where its layer has pictures. */
  draw(
    context: CanvasRenderingContext2D,
    node: number,
    unit: number,
    x: number,
    y: number,
    side: number,
  ): void {
    const sheet = this.sheets.get(node);
    if (!sheet) return;
    const { rows, columns, across, image } = sheet;
    const [left, top] = [(unit % across) * columns, Math.floor(unit / across) * rows];
    context.imageSmoothingEnabled = false;
    context.drawImage(image, left, top, columns, rows, x, y, side, side);
  }
}

/** All units of a layer on one canvas, near to a square: browsers bound each side of one. */
function sheetOf({ rows, columns, values }: RawFilters): Sheet | null {
  const units = Math.floor(values.byteLength / (rows * columns));
  const across = Math.ceil(Math.sqrt(units));
  const image = document.createElement('canvas');
  image.width = across * columns;
  image.height = Math.ceil(units / across) * rows;
  const context = image.getContext('2d');
  if (!context || units === 0) return null;
  const pixels = context.createImageData(image.width, image.height);
  for (let unit = 0; unit < units; unit++) {
    const [left, top] = [(unit % across) * columns, Math.floor(unit / across) * rows];
    for (let at = 0; at < rows * columns; at++) {
      const value = values.getInt8(unit * rows * columns + at);
      const paler = 255 - 2 * Math.abs(value);
      const colour = value < 0 ? [paler, paler, 255, 255] : [255, paler, paler, 255];
      const place = (top + Math.floor(at / columns)) * image.width + left + (at % columns);
      pixels.data.set(colour, 4 * place);
    }
  }
  context.putImageData(pixels, 0, 0);
  return { image, rows, columns, across };
}
