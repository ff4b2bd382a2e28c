/** Global setup of all tests: what people install is compiled, so that commands in processes of their own start as fast as theirs. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** Set by the first project's setup, for the others of the same run. */
const DONE = 'MILLRACE_TEST_COMPILED'

export default async function setup(): Promise<void> {
  if (process.env[DONE] !== undefined) return
  await promisify(execFile)('npm', ['run', 'build', '--silent'], { cwd: ROOT })
  process.env[DONE] = '1'
}
