import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'

/** For workers that have no workflows of their own: `Worker.create({ workflowsPath, … })`. */
export const workflowsPath: string = fileURLToPath(
  new URL(`./workflows/index${extname(import.meta.url)}`, import.meta.url),
)
