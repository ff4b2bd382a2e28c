/** Python virtual environments for the peers, made once and kept under `bench/work`. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { timeCommand } from './measure.ts'
import { workFolder } from './work-folder.ts'

export interface VirtualEnvironment {
  /** Path of a program installed in it. */
  program: (name: string) => string
  /** Installed version of one of its packages. */
  version: (distribution: string) => Promise<string>
}

/** Installs `requirements` unless an earlier run did; throws when there is no `python3` or a package cannot be had. */
export async function createVirtualEnvironment(
  name: string,
  requirements: readonly string[],
): Promise<VirtualEnvironment> {
  const folder = path.join(workFolder, 'venvs', name)
  const program = (file: string): string => path.join(folder, 'bin', file)
  // Written last: an installation that broke off is done again.
  const stamp = path.join(folder, 'requirements.txt')
  const wanted = `${requirements.join('\n')}\n`
  const installed = await readFile(stamp, 'utf8').catch(() => null)
  if (installed !== wanted) {
    console.error(`Installing ${requirements.join(', ')} into a virtual environment (once) …`)
    await rm(folder, { recursive: true, force: true })
    await mkdir(path.dirname(folder), { recursive: true })
    await timeCommand('python3', ['-m', 'venv', folder], { cwd: workFolder })
    await timeCommand(program('python'), ['-m', 'pip', 'install', '--quiet', ...requirements], { cwd: workFolder })
    await writeFile(stamp, wanted)
  }
  return {
    program,
    async version(distribution) {
      const script = 'import sys, importlib.metadata as m; print(m.version(sys.argv[1]))'
      return (await timeCommand(program('python'), ['-c', script, distribution], { cwd: workFolder })).stdout.trim()
    },
  }
}
