/** Which kernel a new pruning notebook runs in. */
import type { KernelSpec } from '@jupyterlab/services';

/** What a notebook has to say about the kernel that runs it. */
export interface Kernel {
  name: string;
  displayName: string;
  language: string;
}

/**
 * Choose the kernel for a new notebook: the server's default if it speaks Python,
 * or else its first Python kernel; `null` where it has none.
 */
export function pythonKernel(specs: KernelSpec.ISpecModels | null): Kernel | null {
  const known = specs?.kernelspecs ?? {};
  const candidates = [known[specs?.default ?? ''], ...Object.values(known)];
  const spec = candidates.find((candidate) => candidate?.language.toLowerCase() === 'python');
  return spec ? { name: spec.name, displayName: spec.display_name, language: spec.language } : null;
}
