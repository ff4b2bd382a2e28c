import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, Connection } from '@temporalio/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type EmbeddedServer, startEmbeddedServer } from '../../src/temporal/embedded-server.ts'
import { findTemporalServer, type FindServerOptions } from '../../src/temporal/find-server.ts'
import { isPortOpen } from '../../src/temporal/probe-server.ts'

const LOCAL_ADDRESS = '127.0.0.1:7233'

let folder: string
let projectRoot: string
let server: EmbeddedServer
let base: FindServerOptions

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-find-'))
  projectRoot = join(folder, 'project')
  await mkdir(projectRoot)
  server = await startEmbeddedServer({ projectRoot, onProgress: () => {} })
  // A home without a Temporal config file; the cache of the real one.
  const { PATH, HOME, MILLRACE_CACHE_DIR, XDG_CACHE_HOME } = process.env
  const cache = MILLRACE_CACHE_DIR ?? join(XDG_CACHE_HOME ?? join(HOME ?? '', '.cache'), 'millrace')
  const env = { PATH, HOME: folder, XDG_CONFIG_HOME: folder, MILLRACE_CACHE_DIR: cache }
  base = { projectRoot: null, env, onProgress: () => {}, mayStart: false }
})
afterAll(async () => {
  await server.stop()
  await rm(folder, { recursive: true, force: true })
})

describe('which Temporal server a command uses', () => {
  it('is that of --address before all others', async () => {
    const env = { ...base.env, TEMPORAL_ADDRESS: '127.0.0.1:1', TEMPORAL_NAMESPACE: 'of-environment' }
    const found = await findTemporalServer({ ...base, env, projectRoot, address: server.address })
    expect(found).toMatchObject({ address: server.address, kind: 'address', namespace: 'of-environment', uiUrl: null })
    expect(found.embedded).toBeNull()
    const connection = await Connection.connect(found.connectionOptions)
    await connection.close()
  })

  it('is that of TEMPORAL_ADDRESS, with --namespace over TEMPORAL_NAMESPACE', async () => {
    const env = { ...base.env, TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: 'other' }
    const found = await findTemporalServer({ ...base, env, namespace: 'default' })
    expect(found).toMatchObject({ address: server.address, kind: 'environment', namespace: 'default' })
  })

  it('is that of a Temporal config profile', async () => {
    const file = join(folder, 'temporal.toml')
    await writeFile(file, `[profile.staging]\naddress = "${server.address}"\nnamespace = "from-profile"\n`)
    const env = { ...base.env, TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: 'staging' }
    const found = await findTemporalServer({ ...base, env })
    expect(found).toMatchObject({ address: server.address, kind: 'environment', namespace: 'from-profile' })
  })

  it('takes TLS and the API key from the environment into the connection, and nowhere else', async () => {
    const env = { ...base.env, TEMPORAL_API_KEY: 'sesame', TEMPORAL_TLS: 'false' }
    const found = await findTemporalServer({ ...base, env, address: server.address })
    expect(found.connectionOptions).toEqual({ address: server.address, tls: false, apiKey: 'sesame' })
    const { connectionOptions: _, ...rest } = found
    expect(JSON.stringify(rest)).not.toContain('sesame')
    const unnamed = await findTemporalServer({ ...base, env, projectRoot })
    expect(unnamed.connectionOptions).toEqual({ address: server.address })
  })

  it('is the live embedded server of the project', async () => {
    const found = await findTemporalServer({ ...base, projectRoot, mayStart: true })
    expect(found).toMatchObject({ address: server.address, kind: 'project', uiUrl: server.uiUrl, namespace: 'default' })
    expect(found.embedded).toBeNull()
  })

  it('is an embedded one, started now, when no other answers, with the namespace that was asked for', async (context) => {
    if (await isPortOpen(LOCAL_ADDRESS, 500)) context.skip('a server is running on this machine')
    const own = join(folder, 'own')
    await mkdir(own)
    const found = await findTemporalServer({ ...base, projectRoot: own, namespace: 'team', mayStart: true })
    try {
      expect(found).toMatchObject({ kind: 'embedded', namespace: 'team', address: found.embedded?.address })
      const connection = await Connection.connect(found.connectionOptions)
      const client = new Client({ connection, namespace: found.namespace })
      const handle = await client.workflow.start('nobodyRunsIt', { taskQueue: 'none', workflowId: 'in-team' })
      expect((await handle.describe()).status.name).toBe('RUNNING')
      await connection.close()
    } finally {
      await found.embedded?.stop()
    }
  })

  it('is an error that lists what was tried when none answers and none may be started', async (context) => {
    if (await isPortOpen(LOCAL_ADDRESS, 500)) context.skip('a server is running on this machine')
    await expect(findTemporalServer({ ...base, projectRoot: folder })).rejects.toMatchObject({
      code: 'TEMPORAL_UNAVAILABLE',
      message: expect.stringMatching(/TEMPORAL_ADDRESS.*profile.*own.*127\.0\.0\.1:7233/),
      hint: expect.stringContaining('--address'),
    })
  })
})

describe('a named server that does not answer', () => {
  it('is an error that names it, never another server', async () => {
    const start = performance.now()
    const env = { ...base.env, TEMPORAL_ADDRESS: '127.0.0.1:1' }
    await expect(findTemporalServer({ ...base, env, projectRoot, mayStart: true })).rejects.toMatchObject({
      code: 'TEMPORAL_UNAVAILABLE',
      message: expect.stringMatching(/127\.0\.0\.1:1 \(from TEMPORAL_ADDRESS/),
    })
    expect(performance.now() - start).toBeLessThan(15_000)
  })

  it('is an error as well when something else listens there', async () => {
    const silent = createServer()
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const { port } = silent.address() as { port: number }
    try {
      await expect(findTemporalServer({ ...base, address: `127.0.0.1:${port}` })).rejects.toMatchObject({
        code: 'TEMPORAL_UNAVAILABLE',
        message: expect.stringContaining('from --address'),
      })
    } finally {
      silent.close()
    }
  })

  it('is an error when the profile does not exist', async () => {
    const env = { ...base.env, TEMPORAL_PROFILE: 'missing' }
    await expect(findTemporalServer({ ...base, env })).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining("'missing'"),
    })
  })
})
