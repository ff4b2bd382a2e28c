/** A script in a process of its own, for what only the end of a process can show. */
import { type ChildProcess, spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href

/** Absolute path of a source file, to be imported by a script that lies elsewhere. */
export function sourcePath(relativeToRoot: string): string {
  return fileURLToPath(new URL(`../../${relativeToRoot}`, import.meta.url))
}

/** Writes the TypeScript into `folder` and starts it; its standard error is that of the tests. */
export async function startScript(
  folder: string,
  source: string,
  options: { env?: NodeJS.ProcessEnv; name?: string } = {},
): Promise<ChildProcess> {
  const file = join(folder, `${options.name ?? 'script'}.mts`)
  await writeFile(file, source)
  return spawn(process.execPath, ['--import', TSX, file], {
    env: options.env ?? process.env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

/** The first line a script prints, as JSON. Rejects when it ends without one. */
export async function firstLine<T>(child: ChildProcess): Promise<T> {
  let output = ''
  return new Promise((resolve, reject) => {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text
      if (output.includes('\n')) resolve(JSON.parse(output.slice(0, output.indexOf('\n'))) as T)
    })
    child.once('close', (code) =>
      reject(new Error(`the script ended with ${code} before it printed a line: ${output}`)),
    )
  })
}

/** How a script ended. */
export async function exitOf(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
  return new Promise((resolve) => child.once('exit', (code) => resolve(code)))
}
