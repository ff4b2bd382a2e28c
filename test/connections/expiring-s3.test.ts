/** Files of a bucket whose sessions expire: readers get one that is good, and none of them notices. */
import { beforeAll, expect, test } from 'vitest'
import { extensionDirectory } from '../helpers/extensions.ts'
import { startS3Server, type S3Server } from '../helpers/s3-server.ts'
import { createHarness } from './registry-harness.ts'

let extensions = ''
beforeAll(async () => {
  extensions = await extensionDirectory('httpfs')
}, 240_000)

const LIFE_MS = 1_500

function connection(server: S3Server, issued: string[]): Record<string, unknown> {
  const { endpoint, keyId, secret } = server
  const session = () => {
    const token = server.issue(LIFE_MS)
    issued.push(token)
    return { token, expiresAtMs: Date.now() + LIFE_MS }
  }
  const parameters = { key_id: keyId, secret, session_token: session, region: 'us-east-1' }
  return {
    extensions: ['httpfs'],
    extension_directory: extensions,
    concurrent_tasks: 8,
    secrets: { bucket: { type: 's3', endpoint, use_ssl: false, url_style: 'path', ...parameters } },
  }
}

test('16 readers over several sessions: no read fails, and a session is asked for once per expiry', async () => {
  const server = await startS3Server()
  const issued: string[] = []
  const { lease, registry } = createHarness()
  const raw = connection(server, issued)
  for (let nth = 0; nth < 16; nth += 1) server.objects.set(`/bucket/${nth}.csv`, Buffer.from(`n\n${nth}\n`))
  const startedMs = Date.now()
  const readers = Array.from({ length: 16 }, async (_, nth) => {
    let reads = 0
    for (; Date.now() - startedMs < LIFE_MS * 4; reads += 1) {
      await using one = await lease(`reader ${nth}`, raw)
      expect(await one.rows(`SELECT n::INTEGER AS n FROM read_csv('s3://bucket/${nth}.csv', header = true)`)).toEqual([
        { n: nth },
      ])
    }
    return reads
  })
  for (const reads of await Promise.all(readers)) expect(reads).toBeGreaterThan(0)
  expect(server.expired).toBe(0)
  const lives = (Date.now() - startedMs) / (LIFE_MS * 0.8)
  expect(issued.length).toBeGreaterThanOrEqual(4)
  expect(issued.length).toBeLessThanOrEqual(Math.ceil(lives) + 1)
  await using last = await lease('last', raw)
  const shown = JSON.stringify([await last.rows('FROM duckdb_secrets()'), registry.snapshot()])
  for (const token of [...issued, server.secret]) expect(shown).not.toContain(token)
})

test('a read that runs while the session is renewed goes on with what it began with', async () => {
  const server = await startS3Server({ delayMs: LIFE_MS / 2 })
  server.objects.set('/bucket/slow.csv', Buffer.from('n\n1\n'))
  const issued: string[] = []
  const { lease } = createHarness()
  const raw = connection(server, issued)
  const read = "SELECT n::INTEGER AS n FROM read_csv('s3://bucket/slow.csv', header = true)"
  const readers = Array.from({ length: 6 }, async (_, nth) => {
    await new Promise((resolve) => setTimeout(resolve, nth * 300))
    await using one = await lease(`reader ${nth}`, raw)
    return await one.rows(read)
  })
  expect(await Promise.all(readers)).toEqual(readers.map(() => [{ n: 1 }]))
  expect(issued.length).toBeGreaterThan(1)
})

test('a session that ended early fails one read, and the next lease has another', async () => {
  const server = await startS3Server()
  server.objects.set('/bucket/t.csv', Buffer.from('n\n1\n'))
  const issued: string[] = []
  const { lease } = createHarness()
  const raw = connection(server, issued)
  const read = "SELECT n::INTEGER AS n FROM read_csv('s3://bucket/t.csv', header = true)"
  {
    await using one = await lease('first', raw)
    expect(await one.rows(read)).toEqual([{ n: 1 }])
  }
  server.revokeAll()
  {
    await using one = await lease('second', raw)
    await expect(one.rows(read)).rejects.toThrow()
  }
  await using one = await lease('third', raw)
  expect(await one.rows(read)).toEqual([{ n: 1 }])
  expect(issued).toHaveLength(2)
})
