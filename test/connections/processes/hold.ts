/** A DuckDB file that another process has open. */
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'

export interface OtherProcess {
  pid: number
  /** Its end lets the file go. */
  kill(): void
}

/** Resolves when it has the file. */
export async function holdInProcess(file: string): Promise<OtherProcess> {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
  const script = fileURLToPath(new URL('hold-file.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', tsx, script, file], { stdio: ['pipe', 'pipe', 'inherit'] })
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve())
    child.once('exit', (code) => reject(new Error(`the process ended with ${code} before it held the file`)))
  })
  return { pid: child.pid ?? 0, kill: () => child.kill('SIGKILL') }
}
