// Bundles the widget and the JupyterLab extension into the Python package paoding_widgets.
// Usage: node build.mjs [widget] [teach] [labextension] [--watch]; without names it builds all.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import esbuild from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
// Every displayed widget carries its own copy of the module, so it has to stay small.
const WIDGET_LIMIT_KB = 60;
// What JupyterLab loads of the extension when it starts, and when a model is opened.
const EXTENSION_LIMIT_KB = 120;

const shared = {
  absWorkingDir: here,
  bundle: true,
  format: 'esm',
  target: 'es2022',
  logLevel: 'info',
};

const widget = {
  ...shared,
  entryPoints: ['packages/widget/src/index.ts'],
  outfile: '../paoding_widgets/static/widget.js',
  minify: true,
  loader: { '.css': 'text', '.svg': 'text' },
};

const teach = {
  ...widget,
  entryPoints: ['packages/teach/src/index.ts'],
  outfile: '../paoding_widgets/static/teach.js',
};

// `import script from './module?inline'` gives a worker's script as text: it is part of the chunk
// that needs it, and asks no server for anything.
const inlineScripts = {
  name: 'inline-scripts',
  setup(build) {
    build.onResolve({ filter: /\?inline$/ }, ({ path, resolveDir }) => ({
      path: join(resolveDir, path.replace(/\?inline$/, '.ts')),
      namespace: 'inline',
    }));
    build.onLoad({ filter: /.*/, namespace: 'inline' }, async ({ path }) => {
      const options = { ...shared, format: 'iife', minify: true, write: false, logLevel: 'error' };
      const made = await esbuild.build({ ...options, entryPoints: [path] });
      return { contents: made.outputFiles[0].text, loader: 'text' };
    });
  },
};

// `import { lessons } from 'paoding:lessons'` gives the name and title of each lesson; the notebooks
// themselves are modules of their own, loaded when one is opened.
const lessonNotebooks = {
  name: 'lesson-notebooks',
  setup(build) {
    const folder = join(here, '..', 'notebooks', 'lessons');
    const file = (path) => join(folder, path.replace('paoding:lessons/', ''));
    build.onResolve({ filter: /^paoding:lessons/ }, ({ path }) => ({ path, namespace: 'lessons' }));
    build.onLoad({ filter: /\.ipynb$/, namespace: 'lessons' }, ({ path }) => ({
      contents: readFileSync(file(path), 'utf8'),
      loader: 'json',
      watchFiles: [file(path)],
    }));
    build.onLoad({ filter: /^paoding:lessons$/, namespace: 'lessons' }, () => {
      const found = readdirSync(folder).filter((name) => name.endsWith('.ipynb'));
      const entries = found.sort().map((name) => {
        const { cells } = JSON.parse(readFileSync(join(folder, name), 'utf8'));
        const title = cells[0].source[0].replace(/^# /, '').trim();
        const load = `() => import(${JSON.stringify(`paoding:lessons/${name}`)})`;
        return `{ name: ${JSON.stringify(name)}, title: ${JSON.stringify(title)}, load: ${load} }`;
      });
      return { contents: `export const lessons = [${entries.join(',')}];`, watchDirs: [folder] };
    });
  },
};

// JupyterLab brings these itself. A dynamic import stays a chunk of its own, and so does what
// JupyterLab's builder makes of it.
const labextension = {
  ...shared,
  entryPoints: ['packages/labextension/src/index.ts'],
  outdir: 'packages/labextension/lib',
  splitting: true,
  external: ['@jupyterlab/*', '@lumino/*'],
  plugins: [inlineScripts, lessonNotebooks],
  loader: { '.css': 'text', '.svg': 'text' },
};

async function buildWidget(watch) {
  if (watch) {
    await (await esbuild.context(widget)).watch();
    return;
  }
  await esbuild.build(widget);
  const kilobytes = gzipSync(readFileSync(join(here, widget.outfile))).length / 1024;
  console.log(`widget.js: ${kilobytes.toFixed(1)} KB gzipped`);
  if (kilobytes > WIDGET_LIMIT_KB) {
    throw new Error(`widget.js is over ${WIDGET_LIMIT_KB} KB gzipped`);
  }
}

async function buildLabextension() {
  // Chunks are named after their content: older ones would stay.
  rmSync(join(here, labextension.outdir), { recursive: true, force: true });
  await esbuild.build(labextension);
  const builder = join(dirname(require.resolve('@jupyter/builder')), 'build-labextension.js');
  const core = join(
    dirname(require.resolve('@jupyterlab/core-meta/package.json')),
    'core.package.json',
  );
  const target = join(here, 'packages', 'labextension');
  execFileSync(process.execPath, [builder, '--core-package-file', core, target], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const folder = join(target, 'dist', 'static');
  const scripts = readdirSync(folder).filter((name) => name.endsWith('.js'));
  const sizes = scripts.map((name) => gzipSync(readFileSync(join(folder, name))).length / 1024);
  const kilobytes = sizes.reduce((sum, size) => sum + size, 0);
  console.log(`labextension: ${kilobytes.toFixed(1)} KB gzipped`);
  if (kilobytes > EXTENSION_LIMIT_KB) {
    throw new Error(`The extension is over ${EXTENSION_LIMIT_KB} KB gzipped`);
  }
}

const names = process.argv.slice(2).filter((name) => !name.startsWith('--'));
const watch = process.argv.includes('--watch');
const wanted = names.length > 0 ? names : ['widget', 'teach', 'labextension'];
if (wanted.includes('widget')) {
  await buildWidget(watch);
}
if (wanted.includes('teach')) {
  await esbuild.build(teach);
}
if (wanted.includes('labextension')) {
  await buildLabextension();
}
