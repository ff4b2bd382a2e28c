/** MotherDuck up to its service: the address, the token's way, and what is said when the service is out of reach. */
import { beforeAll, describe, expect, test } from 'vitest'
import { parseConnection, type MotherDuckConfig } from '../../src/connections/config.ts'
import { ConnectionLost } from '../../src/connections/connection-lost.ts'
import { motherDuckAddress } from '../../src/connections/databases/motherduck.ts'
import { classifySqlError } from '../../src/connections/sql-errors.ts'
import { extensionDirectory } from '../helpers/extensions.ts'
import { createHarness } from './registry-harness.ts'

const TOKEN = { MOTHERDUCK_TOKEN: 'a-very-secret-token' }

function parse(raw: Record<string, unknown>): MotherDuckConfig {
  return parseConnection({ type: 'motherduck', ...raw }, { root: '/p', env: TOKEN }) as MotherDuckConfig
}

describe('the address of a MotherDuck database', () => {
  test.each<[Record<string, unknown>, string]>([
    [{}, 'md:'],
    [{ database: 'md:' }, 'md:'],
    [{ database: 'analytics' }, 'md:analytics?attach_mode=single'],
    [{ database: 'md:analytics', attach_mode: 'workspace' }, 'md:analytics?attach_mode=workspace'],
    [
      { database: 'md:a?saas_mode=true&session_hint=team%20a', access_mode: 'read_only' },
      'md:a?access_mode=read_only&attach_mode=single&saas_mode=true&session_name=team%20a',
    ],
    [{ database: 'a', dbinstance_inactivity_ttl: '5m' }, 'md:a?attach_mode=single&dbinstance_inactivity_ttl=300s'],
  ])('of %j is %s', (raw, address) => {
    expect(motherDuckAddress(parse(raw))).toBe(address)
  })

  test('has no token in it, wherever that was written', () => {
    for (const raw of [{ database: 'md:a?motherduck_token=hush' }, { database: 'a', token: 'hush' }]) {
      expect(motherDuckAddress(parse(raw))).not.toContain('hush')
    }
  })
})

test('without a token nothing is opened, and no browser', async () => {
  const { registry, folder } = createHarness()
  const config = parseConnection({ type: 'motherduck', database: 'a' }, { root: folder, env: {} })
  await expect(registry.lease(config, { holder: 'a' })).rejects.toMatchObject({
    code: 'CONFIG',
    message: expect.stringContaining('MOTHERDUCK_TOKEN'),
  })
  expect(registry.snapshot().opens).toBe(0)
})

describe.skipIf(process.env['MOTHERDUCK_TOKEN'] !== undefined)(
  'a service that is out of reach (left out where MOTHERDUCK_TOKEN says that it is not)',
  () => {
    let directory = ''
    beforeAll(async () => {
      directory = await extensionDirectory('motherduck')
    }, 120_000)

    test('is an error that passes, with the database’s name and without the token', async () => {
      const { registry, folder } = createHarness()
      const raw = { type: 'motherduck', database: 'analytics', extension_directory: directory }
      const config = parseConnection(raw, { root: folder, env: TOKEN })
      const error: unknown = await registry.lease(config, { holder: 'a' }).catch((caught: unknown) => caught)
      expect(error).toBeInstanceOf(ConnectionLost)
      expect(error).toMatchObject({ message: expect.stringContaining("MotherDuck database 'analytics'") })
      expect(classifySqlError(error)).toMatchObject({ kind: 'connection', retryable: true })
      expect(`${String(error)} ${String((error as Error).cause)} ${String((error as Error).stack)}`).not.toContain(
        TOKEN.MOTHERDUCK_TOKEN,
      )
    })
  },
)
