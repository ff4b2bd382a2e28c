import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { describeDuckDB } from '../../src/connections/duckdb-build.ts'
import { extensionDirectory } from '../helpers/extensions.ts'
import { sourcePath } from '../helpers/tsx-script.ts'

const NAME = 'sqlite_scanner'
const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href

let directory: string

beforeAll(async () => {
  directory = await extensionDirectory(NAME)
})

describe('millrace-fetch-extensions', () => {
  test('says in plain lines what it did', async () => {
    const { code, stdout } = await fetchExtensions([directory, NAME, 'json'])
    expect(stdout).toMatch(/^DuckDB v\d+\.\d+\.\d+ on \w+, /)
    expect(stdout.split('\n').slice(1)).toEqual([
      '  sqlite_scanner  there already, loads',
      '  json            part of DuckDB, needs no file',
      '',
    ])
    expect(code).toBe(0)
  })

  test('answers in JSON', async () => {
    const { code, stdout } = await fetchExtensions([directory, NAME, '--json'])
    expect(JSON.parse(stdout)).toMatchObject({
      directory,
      extensions: [{ name: NAME, source: 'present' }],
    })
    expect(code).toBe(0)
  })

  test('ends with 2 for a name that DuckDB does not know', async () => {
    const { code, stdout, stderr } = await fetchExtensions([directory, 'duklake'])
    expect(stderr).toMatch(/^error\[USAGE\]: expected one of DuckDB's extensions .*; got 'duklake'$/m)
    expect(stderr).toContain("Did you mean 'ducklake'?")
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  })

  test('ends with 2 and names a file that DuckDB does not load', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-broken-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const { version, platform } = await describeDuckDB()
    await mkdir(join(folder, version, platform), { recursive: true })
    await writeFile(join(folder, version, platform, `${NAME}.duckdb_extension`), 'half a download')
    const { code, stdout, stderr } = await fetchExtensions([folder, NAME])
    expect(stderr).toMatch(/^error\[EXTENSION\]: .* has what DuckDB does not load: 'sqlite_scanner': /m)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  })

  test('cannot load those of another platform, and says so', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-platform-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const { version, platform } = await describeDuckDB()
    const other = platform === 'osx_arm64' ? 'linux_amd64' : 'osx_arm64'
    await mkdir(join(folder, version, other), { recursive: true })
    await writeFile(join(folder, version, other, `${NAME}.duckdb_extension`), '')
    const { code, stdout } = await fetchExtensions([folder, NAME, '--platform', other])
    expect(stdout).toContain('sqlite_scanner  there already, not loaded: for another platform')
    expect(code).toBe(0)
  })

  test('ends with 2 and shows the way to its help when it is called without a name', async () => {
    const { code, stderr } = await fetchExtensions([directory])
    expect(stderr).toMatch(/^error\[USAGE\]: expected DIR NAME…/m)
    expect(code).toBe(2)
  })
})

async function fetchExtensions(
  args: readonly string[],
): Promise<{ code: number | string | null | undefined; stdout: string; stderr: string }> {
  const script = ['--import', TSX, sourcePath('src/fetch-extensions.ts'), ...args]
  return new Promise((resolve) => {
    execFile(process.execPath, script, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : error.code, stdout, stderr }),
    )
  })
}
