/** A package index in a folder, for pip without a network. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { onTestFinished } from 'vitest'
import { describeDuckDB } from '../../src/connections/duckdb-build.ts'

export interface WheelFolder {
  /** For the test's own files; removed after it. */
  folder: string
  /** An environment in which pip knows the packages made here and no others. */
  env: NodeJS.ProcessEnv
  /** `<version>/<platform>/<name>.duckdb_extension` */
  relativeFile: (name: string) => string
}

/** @param files of extensions to be had, by name; null for one that DuckDB cannot load, which is made at once. */
export async function createWheelFolder(files: Record<string, string | null> = {}): Promise<WheelFolder> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-wheels-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const wheels = join(folder, 'wheels')
  await mkdir(wheels)
  const { version, platform } = await describeDuckDB()
  await writeFile(join(folder, 'empty'), '')
  for (const [name, file] of Object.entries(files)) {
    const args = [wheels, name, version, file ?? join(folder, 'empty')]
    await promisify(execFile)('python3', ['-c', MAKE_WHEEL, ...args])
  }
  const env = { ...process.env, PIP_NO_INDEX: '1', PIP_FIND_LINKS: wheels, PIP_CONFIG_FILE: '/dev/null' }
  return { folder, env, relativeFile: (name) => join(version, platform, `${name}.duckdb_extension`) }
}

const MAKE_WHEEL = `
import sys, zipfile
wheels, name, version, file = sys.argv[1:]
stem = f'duckdb_extension_{name}'
number = version[1:]
info = f'{stem}-{number}.dist-info'
with zipfile.ZipFile(f'{wheels}/{stem}-{number}-py3-none-any.whl', 'w') as wheel:
    wheel.write(file, f'{stem}/extensions/{version}/{name}.duckdb_extension')
    wheel.writestr(f'{info}/METADATA', f'Metadata-Version: 2.1\\nName: {stem}\\nVersion: {number}\\n')
    wheel.writestr(f'{info}/WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr(f'{info}/RECORD', '')
`
