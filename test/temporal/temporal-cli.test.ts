import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MillraceError } from '../../src/errors.ts'
import { resolveTemporalCli, type TemporalCli } from '../../src/temporal/temporal-cli.ts'
import { exitOf, firstLine, sourcePath, startScript } from '../helpers/tsx-script.ts'

const PROGRAM = '#!/bin/sh\necho temporal version 1.5.1\n'
const BUILT = join('temporal-cli', 'v1.5.1', 'temporal')

let folder: string
let bin: string
let cache: string
let env: NodeJS.ProcessEnv

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-cli-'))
  bin = join(folder, 'bin')
  cache = join(folder, 'cache')
  await mkdir(bin)
  // A proxy at a closed port refuses every download, also on a machine with a network.
  const refused = {
    HTTPS_PROXY: 'http://127.0.0.1:9',
    https_proxy: 'http://127.0.0.1:9',
    ALL_PROXY: 'http://127.0.0.1:9',
  }
  env = { PATH: bin, MILLRACE_CACHE_DIR: cache, HOME: folder, ...refused }
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const resolve = (lines: string[] = []) => resolveTemporalCli({ env, onProgress: (line) => lines.push(line) })

async function writeProgram(path: string, source: string): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true })
  await writeFile(path, source)
  await chmod(path, 0o755)
}

/** Stands in for the compiler only: records its call, takes a while, and leaves an executable in GOBIN. */
function fakeGo(calls: string): string {
  return [
    '#!/bin/sh',
    `echo "$@" >> '${calls}'`,
    '/bin/sleep 1',
    `printf '${PROGRAM.replaceAll('\n', '\\n')}' > "$GOBIN/temporal"`,
    '/bin/chmod 755 "$GOBIN/temporal"',
    '',
  ].join('\n')
}

describe('where the Temporal CLI comes from', () => {
  it('is PATH first', async () => {
    await writeProgram(join(bin, 'temporal'), PROGRAM)
    await writeProgram(join(cache, BUILT), PROGRAM)
    expect(await resolve()).toEqual({ path: join(bin, 'temporal'), source: 'PATH' } satisfies TemporalCli)
  })

  it('is the cache when the program on PATH does not work', async () => {
    await writeProgram(join(bin, 'temporal'), '#!/bin/sh\nexit 1\n')
    await writeProgram(join(cache, BUILT), PROGRAM)
    expect(await resolve()).toEqual({ path: join(cache, BUILT), source: 'built' } satisfies TemporalCli)
  })

  it('is a download that an earlier command left in the cache', async () => {
    const downloaded = join(cache, 'temporal-cli', 'download', 'temporal')
    await writeProgram(downloaded, PROGRAM)
    expect(await resolve()).toEqual({ path: downloaded, source: 'download' } satisfies TemporalCli)
  })

  it('is built once when two processes ask at the same time (a script stands in for the Go compiler)', async () => {
    const calls = join(folder, 'calls')
    await writeProgram(join(bin, 'go'), fakeGo(calls))
    const source = `
      import { resolveTemporalCli } from ${JSON.stringify(sourcePath('src/temporal/temporal-cli.ts'))}
      const lines = []
      const cli = await resolveTemporalCli({ onProgress: (line) => lines.push(line) })
      console.log(JSON.stringify({ cli, lines }))`
    const scripts = await Promise.all(['one', 'two'].map((name) => startScript(folder, source, { env, name })))
    const answers = await Promise.all(scripts.map((script) => firstLine<{ cli: TemporalCli; lines: string[] }>(script)))
    await Promise.all(scripts.map(exitOf))
    for (const { cli } of answers) expect(cli).toEqual({ path: join(cache, BUILT), source: 'built' })
    const installs = (await readFile(calls, 'utf8')).trim().split('\n')
    expect(installs).toEqual(['install -ldflags=-s -w github.com/temporalio/cli/cmd/temporal@v1.5.1'])
    const lines = answers.flatMap((answer) => answer.lines)
    expect(lines.filter((line) => line.startsWith('Building'))).toHaveLength(1)
    expect(lines.filter((line) => line.startsWith('Waiting for process'))).not.toHaveLength(0)
    expect(await readdir(join(cache, 'temporal-cli', 'v1.5.1'))).toEqual(['temporal'])
  })

  it('is built after the killed builder before has left a half-built one', async () => {
    await writeProgram(join(bin, 'go'), fakeGo(join(folder, 'calls')))
    await writeProgram(join(cache, 'temporal-cli', 'v1.5.1', '.build-abc', 'temporal'), 'half')
    expect(await resolve()).toMatchObject({ source: 'built' })
    expect(await readdir(join(cache, 'temporal-cli', 'v1.5.1'))).toEqual(['temporal'])
  })

  it('is nowhere: the error lists each way with its reason, and what to install', async () => {
    const error = await resolve().catch((error: unknown) => error)
    expect(error).toBeInstanceOf(MillraceError)
    expect(error).toMatchObject({ code: 'TEMPORAL_UNAVAILABLE' })
    const { message, hint } = error as MillraceError
    expect(message).toMatch(/PATH: no `temporal` program/)
    expect(message).toMatch(/download: .*temporal\.download/)
    expect(message).toMatch(/go install: no `go` program on PATH/)
    expect(hint).toMatch(/Temporal CLI .* or Go .* --address HOST:PORT/)
  })

  it('is nowhere: a failing compiler is quoted', async () => {
    await writeProgram(join(bin, 'go'), '#!/bin/sh\necho "module lookup disabled" >&2\nexit 1\n')
    await expect(resolve()).rejects.toThrow(/go install: module lookup disabled/)
    expect(await readdir(join(cache, 'temporal-cli', 'v1.5.1'))).toEqual([])
  })

  it('stops building when it is told to', async () => {
    await writeProgram(join(bin, 'go'), '#!/bin/sh\nexec /bin/sleep 600\n')
    const controller = new AbortController()
    const onProgress = (line: string) => line.startsWith('Building') && controller.abort()
    await expect(resolveTemporalCli({ env, onProgress, signal: controller.signal })).rejects.toThrow(/abort/i)
    expect(await readdir(join(cache, 'temporal-cli'))).not.toContain('lock')
  })

  it('is not waited for longer than 10 s when the download hangs, and nothing goes on downloading', async () => {
    const sockets = new Set<Socket>()
    const tarpit = createServer((socket) => {
      sockets.add(socket.resume())
      socket.once('close', () => sockets.delete(socket)).once('error', () => {})
    })
    await new Promise<void>((listening) => tarpit.listen(0, '127.0.0.1', listening))
    const proxy = `http://127.0.0.1:${(tarpit.address() as AddressInfo).port}`
    // In a process of its own: this one remembers the downloads that failed before.
    const source = `
      import { resolveTemporalCli } from ${JSON.stringify(sourcePath('src/temporal/temporal-cli.ts'))}
      const start = performance.now()
      const first = await resolveTemporalCli({ onProgress: () => {} }).catch((error) => error.message)
      const firstMs = performance.now() - start
      await resolveTemporalCli({ onProgress: () => {} }).catch(() => {})
      console.log(JSON.stringify({ first, firstMs, secondMs: performance.now() - start - firstMs }))`
    try {
      const script = await startScript(folder, source, { env: { ...env, HTTPS_PROXY: proxy, https_proxy: proxy } })
      const answer = await firstLine<{ first: string; firstMs: number; secondMs: number }>(script)
      expect(answer.first).toMatch(/download: not done after 10 s/)
      expect(answer.firstMs).toBeLessThan(20_000)
      expect(answer.secondMs).toBeLessThan(5_000)
      await exitOf(script)
      await expect.poll(() => sockets.size).toBe(0)
    } finally {
      tarpit.close()
    }
  })
})
