/** Programs on this machine. */
import { accessSync, constants } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'

/** One way to a program: its absolute path, or why the way did not lead there. */
export type Attempt = { path: string } | { reason: string }

export const EXECUTABLE_SUFFIX = process.platform === 'win32' ? '.exe' : ''

/** Absolute path of a program on the PATH of `env`; null when it is not there. */
export function findProgram(name: string, env: NodeJS.ProcessEnv): string | null {
  // Relative folders on PATH depend on where the command was started: never run a program from there.
  const folders = (env['PATH'] ?? env['Path'] ?? '').split(delimiter).filter(isAbsolute)
  return folders.map((folder) => join(folder, name + EXECUTABLE_SUFFIX)).find(isExecutable) ?? null
}

/** Whether there is a file that this process may run. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
