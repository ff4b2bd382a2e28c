import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { describeDuckDB, findUnloadable } from '../../src/connections/duckdb-build.ts'
import { provideExtensions, type ProvidedExtensions } from '../../src/extensions/provide-extensions.ts'
import { findProgram } from '../../src/temporal/find-program.ts'
import { extensionDirectory } from '../helpers/extensions.ts'
import { exitOf, firstLine, sourcePath, startScript } from '../helpers/tsx-script.ts'
import { createWheelFolder } from './wheels.ts'

const NAME = 'sqlite_scanner'

// The first fetch of all processes takes longer than a test may.
beforeAll(async () => {
  await extensionDirectory(NAME)
})

describe('an extension', () => {
  test('is fetched and put where DuckDB looks for it, by its own name whatever alias it was asked for by', async () => {
    const { version, platform } = await describeDuckDB()
    const real = join(await extensionDirectory(NAME), version, platform, `${NAME}.duckdb_extension`)
    const { folder, env, relativeFile } = await createWheelFolder({ [NAME]: real })
    const directory = join(folder, 'extensions')
    const lines: string[] = []
    const provided = await provideExtensions(directory, ['sqlite', NAME], {
      env,
      onProgress: (line) => lines.push(line),
    })
    expect(provided.extensions).toEqual([{ name: NAME, source: 'fetched' }])
    expect(lines).toEqual([`Fetching ${NAME} for DuckDB ${version} on ${platform}`])
    expect(await filesBelow(directory)).toEqual([relativeFile(NAME)])
    expect(await findUnloadable(directory, [NAME])).toEqual(new Map())
  })

  test('that is there is neither fetched nor touched', async () => {
    const { folder, env, relativeFile } = await createWheelFolder({ [NAME]: null })
    const directory = join(folder, 'extensions')
    await provideExtensions(directory, [NAME], { env, onProgress: () => {} })
    const before = await stat(join(directory, relativeFile(NAME)))
    const lines: string[] = []
    const noPython = { ...env, PATH: folder }
    const again = await provideExtensions(directory, [NAME], { env: noPython, onProgress: (line) => lines.push(line) })
    expect(again.extensions).toEqual([{ name: NAME, source: 'present' }])
    expect(lines).toEqual([])
    expect(await stat(join(directory, relativeFile(NAME)))).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs })
  })

  test('that is part of DuckDB needs no file', async () => {
    const { folder, env } = await createWheelFolder()
    const directory = join(folder, 'extensions')
    const { extensions } = await provideExtensions(directory, ['json'], { env, onProgress: () => {} })
    expect(extensions).toEqual([{ name: 'json', source: 'built in' }])
    expect(existsSync(directory)).toBe(false)
  })

  test('is fetched once by two processes that need it at the same time', async () => {
    const { folder, env } = await createWheelFolder({ [NAME]: null })
    // Its pip begins only when the other process says that it waits.
    await promisify(execFile)('mkfifo', [join(folder, 'gate')])
    await mkdir(join(folder, 'bin'))
    const real = findProgram('python3', process.env)
    const python = `#!/bin/sh\nif [ "$2" = pip ]; then echo pip >> '${folder}/calls'; read line < '${folder}/gate'; fi\n`
    await writeFile(join(folder, 'bin', 'python3'), `${python}exec '${real}' "$@"\n`)
    await chmod(join(folder, 'bin', 'python3'), 0o755)
    const source = `
      import { writeFileSync } from 'node:fs'
      import { provideExtensions } from '${sourcePath('src/extensions/provide-extensions.ts')}'
      const onProgress = (line) => line.startsWith('Waiting') && writeFileSync('${folder}/gate', 'go\\n')
      const provided = await provideExtensions('${folder}/extensions', ['${NAME}'], { onProgress })
      console.log(JSON.stringify(provided))
    `
    const scriptEnv = { ...env, PATH: `${join(folder, 'bin')}:${process.env['PATH']}` }
    const scripts = await Promise.all(
      ['one', 'other'].map((name) => startScript(folder, source, { name, env: scriptEnv })),
    )
    const provided = await Promise.all(scripts.map((script) => firstLine<ProvidedExtensions>(script)))
    const sources = provided.map(({ extensions }) => extensions[0]?.source)
    expect(new Set(sources)).toEqual(new Set(['fetched', 'present']))
    expect(await readFile(join(folder, 'calls'), 'utf8')).toBe('pip\n')
    expect(await Promise.all(scripts.map(exitOf))).toEqual([0, 0])
  })
})

describe('an extension that cannot be had', () => {
  test('because DuckDB does not know its name is refused with the nearest name', async () => {
    const { folder, env } = await createWheelFolder()
    const directory = join(folder, 'extensions')
    await expect(provideExtensions(directory, ['htpfs'], { env, onProgress: () => {} })).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(/^expected one of DuckDB's extensions .*\bducklake, .*; got 'htpfs'$/),
      hint: "Did you mean 'httpfs'?",
    })
    expect(existsSync(directory)).toBe(false)
  })

  test('because it has no package is named, and leaves nothing behind', async () => {
    const { folder, env } = await createWheelFolder()
    const directory = join(folder, 'extensions')
    await expect(provideExtensions(directory, [NAME], { env, onProgress: () => {} })).rejects.toMatchObject({
      code: 'EXTENSION',
      message: expect.stringMatching(/^the Python package index has no duckdb-extension-sqlite-scanner==\d.* for \w+$/),
    })
    expect(await filesBelow(directory)).toEqual([])
  })

  test('because the package index is out of reach is told apart from one without a package', async () => {
    const { folder, env: local } = await createWheelFolder()
    const { PIP_NO_INDEX: _, PIP_FIND_LINKS: __, ...rest } = local
    // Port 9 (discard) is reserved: nobody listens.
    const env = { ...rest, PIP_INDEX_URL: 'http://127.0.0.1:9/simple', PIP_EXTRA_INDEX_URL: '', PIP_RETRIES: '0' }
    await expect(provideExtensions(folder, [NAME], { env, onProgress: () => {} })).rejects.toMatchObject({
      code: 'EXTENSION',
      message: expect.stringMatching(
        /^the Python package index cannot be asked: http:\/\/127\.0\.0\.1:9\/.*: .*Connection refused$/,
      ),
      hint: expect.stringContaining('PIP_INDEX_URL'),
    })
  })

  test('because there is no Python is told with what to do', async () => {
    const { folder, env } = await createWheelFolder()
    const noPython = { ...env, PATH: folder }
    const attempt = provideExtensions(join(folder, 'extensions'), [NAME], { env: noPython, onProgress: () => {} })
    await expect(attempt).rejects.toMatchObject({
      code: 'EXTENSION',
      message: expect.stringContaining('no python3 on PATH'),
    })
  })

  test('because nobody builds for the platform is refused with the nearest platform', async () => {
    const { folder, env } = await createWheelFolder()
    const options = { env, platform: 'linux_amd65', onProgress: () => {} }
    await expect(provideExtensions(join(folder, 'extensions'), [NAME], options)).rejects.toMatchObject({
      code: 'EXTENSION',
      hint: "Did you mean 'linux_amd64'?",
    })
  })
})

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
}
