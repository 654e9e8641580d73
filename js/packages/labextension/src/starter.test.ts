import { nullTranslator } from '@jupyterlab/translation';
import { expect, test } from 'vitest';
import { DEFAULTS } from './settings';
import { starterNotebook } from './starter';

const kernel = { name: 'python3', displayName: 'Python 3', language: 'python' };
const notebook = starterNotebook(kernel, nullTranslator.load('paoding'), DEFAULTS);

test('a new notebook names its kernel, so that JupyterLab does not ask', () => {
  expect(notebook.metadata.kernelspec).toEqual({
    name: 'python3',
    display_name: 'Python 3',
    language: 'python',
  });
});

test('a new notebook loads a network and then displays the studio', () => {
  const code = notebook.cells
    .filter((cell) => cell.cell_type === 'code')
    .map((cell) => cell.source);
  expect(code[0]).toContain('paoding.zoo.load');
  expect(String(code[1]).split('\n').at(-1)).toBe('studio');
});

test('every cell has an id of its own, as notebook format 4.5 asks', () => {
  const ids = notebook.cells.map((cell) => cell.id);
  expect(new Set(ids).size).toBe(notebook.cells.length);
});

test('a path is written as a Python string, whatever is in it', () => {
  const odd = starterNotebook(
    kernel,
    nullTranslator.load('paoding'),
    DEFAULTS,
    'my "net"\\1.keras',
  );
  const [load] = odd.cells.filter((cell) => cell.cell_type === 'code').map((cell) => cell.source);
  expect(load).toContain(String.raw`paoding.load_model("my \"net\"\\1.keras")`);
  expect(load).not.toContain('zoo');
  expect(odd.cells[0]?.source).toContain('loads your network');
});

test('a new notebook starts with what was set', () => {
  const set = { ...DEFAULTS, target: 0.25, strategy: 'impact', effort: 'fast' };
  const made = starterNotebook(kernel, nullTranslator.load('paoding'), set, 'net.keras');
  const sources = made.cells.map((cell) => String(cell.source)).join('\n');
  expect(sources).toContain('PruningStudio(model, target=0.25, strategy="impact", effort="fast")');
});
