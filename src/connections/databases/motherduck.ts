/** A MotherDuck database. Each instance is opened with one token; a newer one opens another instance. */
import type { ConnectionConfig, MotherDuckConfig } from '../config.ts'
import { MOTHERDUCK } from './capabilities.ts'
import type { Database } from './database.ts'
import { openInstance } from './instance.ts'

export const motherduck: Database = {
  credential: (config) => own(config).token,
  describe: (config) => describe(own(config)),
  open: async (config, token) => {
    const { userAgent } = own(config)
    // Without a token MotherDuck would open a browser to log in.
    if (token === null) throw new TypeError('MotherDuck is opened with a token')
    return openInstance(config, {
      address: motherDuckAddress(own(config)),
      name: describe(own(config)),
      path: null,
      capabilities: MOTHERDUCK,
      // Not in the address, which messages repeat.
      options: {
        motherduck_token: token.value,
        custom_user_agent: `millrace${userAgent === null ? '' : ` ${userAgent}`}`,
      },
      secret: token.value,
    })
  },
}

/** `md:analytics?attach_mode=single&…`: which database, and how. What is MotherDuck's default is left out; no secret is in it. */
export function motherDuckAddress(config: MotherDuckConfig): string {
  const { database, attachMode, saasMode, sessionName, accessMode, inactivityTtlMs } = config
  const parameters: [string, string | null][] = [
    ['access_mode', accessMode === 'automatic' ? null : accessMode],
    ['attach_mode', database === null && attachMode === 'workspace' ? null : attachMode],
    ['dbinstance_inactivity_ttl', inactivityTtlMs === null ? null : `${Math.ceil(inactivityTtlMs / 1000)}s`],
    ['saas_mode', saasMode ? 'true' : null],
    ['session_name', sessionName],
  ]
  const written = parameters.flatMap(([name, value]) =>
    value === null ? [] : [`${name}=${encodeURIComponent(value)}`],
  )
  return `md:${encodeURIComponent(database ?? '')}${written.length === 0 ? '' : `?${written.join('&')}`}`
}

function describe({ database }: MotherDuckConfig): string {
  return database === null ? "the account's MotherDuck database" : `MotherDuck database '${database}'`
}

function own(config: ConnectionConfig): MotherDuckConfig {
  if (config.type !== 'motherduck') throw new TypeError(`expected a connection of type motherduck; got ${config.type}`)
  return config
}
