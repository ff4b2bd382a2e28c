/** Sources of tokens that outlive the instances they are used for: a token that is still good is not fetched again. */
import type { ConnectionConfig } from '../config.ts'
import { haveSameLiterals } from '../config/literal-secrets.ts'
import { connectionKey } from '../connection-key.ts'
import type { Credential } from '../credentials/credential.ts'
import { createTokenSource, type TokenSource } from '../credentials/token-source.ts'

export interface KeptSources {
  /** The one of this configuration, or of an equal one that acts for the same tenant. @param tenant of `tenantOf`. */
  of(config: ConnectionConfig, credential: Credential, tenant: string): TokenSource
}

/** Configurations that are remembered; of more, the one that was asked for longest ago is forgotten. */
const LIMIT = 100

export function createKeptSources(limit = LIMIT): KeptSources {
  const kept = new Map<string, { config: ConnectionConfig; source: TokenSource }>()
  return {
    of: (config, credential, tenant) => {
      const key = `${connectionKey(config)} ${tenant}`
      const known = kept.get(key)
      const source =
        known !== undefined && haveSameLiterals(known.config, config)
          ? known.source
          : createTokenSource(credential, { env: config.environment.variables() })
      kept.delete(key)
      kept.set(key, { config, source })
      const [oldest] = kept.keys()
      if (kept.size > limit && oldest !== undefined) kept.delete(oldest)
      return source
    },
  }
}
