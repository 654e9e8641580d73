/** Hands a picture of the structure to the reader as a file. */

/** A picture's greatest side, as browsers draw it. */
const MOST_PIXELS = 16_000;

export function saveSvg(picture: SVGSVGElement, name: string): void {
  save(new Blob([svgText(picture)], { type: 'image/svg+xml' }), `${name}.svg`);
}

export async function savePng(picture: SVGSVGElement, name: string): Promise<void> {
  const width = Number(picture.getAttribute('width'));
  const height = Number(picture.getAttribute('height'));
  const scale = Math.min(2, MOST_PIXELS / Math.max(width, height));
  const image = new Image();
  image.src = `data:image/svg+xml,${encodeURIComponent(svgText(picture))}`;
  await image.decode();
  const canvas = document.createElement('canvas');
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.getContext('2d')?.drawImage(image, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, 'image/png'));
  if (blob) save(blob, `${name}.png`);
}

function svgText(picture: SVGSVGElement): string {
  return new XMLSerializer().serializeToString(picture);
}

function save(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
