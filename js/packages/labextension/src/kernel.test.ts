import type { KernelSpec } from '@jupyterlab/services';
import { expect, test } from 'vitest';
import { pythonKernel } from './kernel';

function specs(fallback: string, languages: Record<string, string>): KernelSpec.ISpecModels {
  const kernelspecs: Record<string, KernelSpec.ISpecModel> = {};
  for (const [name, language] of Object.entries(languages)) {
    kernelspecs[name] = {
      name,
      language,
      display_name: name.toUpperCase(),
      argv: [],
      resources: {},
    };
  }
  return { default: fallback, kernelspecs };
}

test('the default kernel is taken when it speaks Python', () => {
  expect(pythonKernel(specs('venv', { python3: 'python', venv: 'python' }))?.name).toBe('venv');
});

test('another Python kernel is taken when the default speaks something else', () => {
  const kernel = pythonKernel(specs('ir', { ir: 'R', python3: 'python' }));
  expect(kernel).toEqual({ name: 'python3', displayName: 'PYTHON3', language: 'python' });
});

test('a server without a Python kernel gives none', () => {
  expect(pythonKernel(specs('ir', { ir: 'R' }))).toBeNull();
  expect(pythonKernel(null)).toBeNull();
});
