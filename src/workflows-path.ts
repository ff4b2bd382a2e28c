import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'

/** For workers that have no workflows of their own: `Worker.create({ workflowsPath, … })`. */
export const workflowsPath: string = pathOf('index')

/**
 * The same, bundled when the package was made, for workers that are to start without a bundler:
 * `Worker.create({ workflowBundle: { codePath: workflowBundlePath }, … })`. Passes headers on. In a checkout `npm run build` makes it.
 */
export const workflowBundlePath: string = fileURLToPath(new URL('../dist/workflow-bundle.js', import.meta.url))

/** The workflow interceptor that passes headers on, for bundles: `workflowInterceptorModules`. The plugin adds it where it is needed. */
export const passHeadersPath: string = pathOf('pass-headers')

function pathOf(module: string): string {
  return fileURLToPath(new URL(`./workflows/${module}${extname(import.meta.url)}`, import.meta.url))
}
