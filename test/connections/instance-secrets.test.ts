/** Secrets of an instance that hold credentials: made for the first lease, renewed for the next, by a server that really refuses. */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { CredentialRefused } from '../../src/connections/credential-refused.ts'
import { classifySqlError } from '../../src/connections/sql-errors.ts'
import { extensionDirectory } from '../helpers/extensions.ts'
import { startHttpServer } from '../helpers/http-server.ts'
import { createHarness, type Harness } from './registry-harness.ts'

let extensions = ''
beforeAll(async () => {
  extensions = await extensionDirectory('httpfs')
}, 120_000)

describe('a bearer token in a secret', () => {
  test('opens what is behind it, and follows its file', async () => {
    const gate = await startGate('first-token')
    const { harness, raw } = setup(gate, (folder) => ({ file: join(folder, 'token') }))
    writeFileSync(join(harness.folder, 'token'), 'first-token\n')
    {
      await using lease = await harness.lease('a', raw)
      expect(await lease.rows(gate.query())).toEqual([{ n: 1 }, { n: 2 }])
    }
    gate.allowed = 'second-token'
    writeFileSync(join(harness.folder, 'token'), 'second-token\n')
    await using lease = await harness.lease('b', raw)
    expect(await lease.rows(gate.query())).toEqual([{ n: 1 }, { n: 2 }])
    expect(gate.refusals).toBe(0)
    expect(harness.registry.snapshot().opens).toBe(1)
  })

  test('that is revoked early fails the lease with an error worth another attempt, which has a new one', async () => {
    const gate = await startGate('first-token')
    const { harness, raw } = setup(gate, (folder) => ({ command: [printer(folder), join(folder, 'token')] }))
    writeFileSync(join(harness.folder, 'token'), 'first-token')
    {
      await using lease = await harness.lease('a', raw)
      await lease.rows(gate.query())
    }
    gate.allowed = 'second-token'
    writeFileSync(join(harness.folder, 'token'), 'second-token')
    {
      // The command is not asked again: its token says nothing of an end.
      await using lease = await harness.lease('b', raw)
      const error: unknown = await lease.transaction((tx) => tx.rows(gate.query())).catch((caught: unknown) => caught)
      expect(error).toBeInstanceOf(CredentialRefused)
      expect(classifySqlError(error)).toMatchObject({ retryable: true, message: expect.stringContaining('refused') })
    }
    await using lease = await harness.lease('c', raw)
    expect(await lease.transaction((tx) => tx.rows(gate.query()))).toEqual([{ n: 1 }, { n: 2 }])
  })

  test('that is refused although it is new is shown as what DuckDB says, with what to check', async () => {
    const gate = await startGate('another-token')
    const { harness, raw } = setup(gate, (folder) => ({ file: join(folder, 'token') }))
    writeFileSync(join(harness.folder, 'token'), 'wrong-token')
    await using lease = await harness.lease('a', raw)
    const error: unknown = await lease.rows(gate.query()).catch((caught: unknown) => caught)
    expect(error).not.toBeInstanceOf(CredentialRefused)
    expect(classifySqlError(error).hint).toContain('credentials')
    expect(String(error)).not.toContain('wrong-token')
  })

  test('is asked for in the context of the lease, once for many leases', async () => {
    const gate = await startGate('given-token')
    const asked: unknown[] = []
    const { harness, raw } = setup(gate, () => (auth: Record<string, unknown>) => {
      asked.push(auth['activityId'])
      return 'given-token'
    })
    const config = harness.config(raw)
    const leases = await Promise.all(
      Array.from({ length: 8 }, (_, nth) =>
        harness.registry.lease(config, { holder: `holder ${nth}`, auth: { activityId: `activity-${nth}` } }),
      ),
    )
    const rows = await Promise.all(leases.map((lease) => lease.rows(gate.query())))
    await Promise.all(leases.map((lease) => lease.release()))
    expect(rows).toEqual(Array.from({ length: 8 }, () => [{ n: 1 }, { n: 2 }]))
    expect(asked).toEqual([expect.stringMatching(/^activity-\d$/)])
  })

  test('that cannot be had fails the lease, not the instance', async () => {
    const gate = await startGate('late-token')
    const { harness, raw } = setup(gate, (folder) => ({ file: join(folder, 'token') }))
    const controller = new AbortController()
    const waits: string[] = []
    const waiting = harness.registry.lease(harness.config(raw), {
      holder: 'a',
      signal: controller.signal,
      onWaiting: (message) => {
        waits.push(message)
        controller.abort(new Error('cancelled'))
      },
    })
    await expect(waiting).rejects.toThrow('cancelled')
    expect(waits[0]).toContain('token')
    writeFileSync(join(harness.folder, 'token'), 'late-token')
    await using lease = await harness.lease('b', raw)
    expect(await lease.rows(gate.query())).toEqual([{ n: 1 }, { n: 2 }])
  })
})

test('a lease that waits for a token does not hold up the end of the registry', async () => {
  const harness = createHarness({ graceMs: 50 })
  const raw = {
    extensions: ['httpfs'],
    extension_directory: extensions,
    secrets: { api: { type: 'http', bearer_token: { file: join(harness.folder, 'never') } } },
  }
  let waiting: () => void = () => undefined
  const waits = new Promise<void>((resolve) => (waiting = resolve))
  const lease = harness.registry.lease(harness.config(raw), { holder: 'a', onWaiting: () => waiting() })
  const refused = expect(lease).rejects.toThrow('shuts down')
  await waits
  const startedMs = performance.now()
  await harness.detach()
  await refused
  expect(performance.now() - startedMs).toBeLessThan(20_000)
})

test('a secret that DuckDB refuses is an error of the configuration that does not show what is secret', async () => {
  const harness = createHarness()
  const raw = {
    extensions: ['httpfs'],
    extension_directory: extensions,
    secrets: { api: { type: 'http', bearer_token: 'very-secret', no_such_parameter: 'x' } },
  }
  const error: unknown = await harness.lease('a', raw).catch((caught: unknown) => caught)
  expect(error).toMatchObject({ code: 'CONFIG', message: expect.stringContaining("'api'") })
  expect(JSON.stringify(error) + String(error) + String((error as Error).stack)).not.toContain('very-secret')
})

function setup(
  gate: Gate,
  credential: (folder: string) => unknown,
): { harness: Harness; raw: Record<string, unknown> } {
  const harness = createHarness()
  const raw = {
    extensions: ['httpfs'],
    extension_directory: extensions,
    secrets: { api: { type: 'http', scope: gate.url, bearer_token: credential(harness.folder) } },
  }
  return { harness, raw }
}

/** A program that prints a file. */
function printer(folder: string): string {
  const program = join(folder, 'print-token')
  writeFileSync(program, '#!/bin/sh\ncat "$1"\n')
  chmodSync(program, 0o755)
  return program
}

interface Gate {
  url: string
  /** The one token that is let in. */
  allowed: string
  refusals: number
  /** Reads a table of its own each time: nothing is answered from a cache. */
  query(): string
}

async function startGate(allowed: string): Promise<Gate> {
  let tables = 0
  const url = await startHttpServer((request, response) => {
    if (request.headers.authorization !== `Bearer ${gate.allowed}`) {
      gate.refusals += 1
      response.writeHead(401).end('not you')
      return
    }
    const body = 'n\n1\n2\n'
    response.writeHead(200, { 'content-type': 'text/csv', 'content-length': body.length })
    response.end(request.method === 'HEAD' ? undefined : body)
  })
  const gate: Gate = {
    url,
    allowed,
    refusals: 0,
    query: () => `SELECT n FROM read_csv('${url}table-${tables++}.csv', header = true) ORDER BY n`,
  }
  return gate
}
