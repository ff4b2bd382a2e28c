/** Kind of credential → where its tokens come from. */
import type { Credential } from '../credential.ts'
import type { TokenFetcher } from '../token-fetcher.ts'
import { createCommandFetcher } from './command.ts'
import { createEnvFetcher } from './env.ts'
import { createFileFetcher } from './file.ts'
import { createFunctionFetcher } from './function.ts'
import { createLiteralFetcher } from './literal.ts'
import { createMotherDuckFetcher } from './motherduck.ts'
import { createOAuth2Fetcher } from './oauth2.ts'

export interface FetcherOptions {
  env: Record<string, string | undefined>
  motherduckUrl: string
}

export function createFetcher(credential: Credential, options: FetcherOptions): TokenFetcher {
  switch (credential.kind) {
    case 'env':
      return createEnvFetcher(credential.variable, options.env)
    case 'file':
      return createFileFetcher(credential.path)
    case 'command':
      return createCommandFetcher({ argv: credential.argv, folder: credential.folder, env: options.env })
    case 'oauth2':
      return createOAuth2Fetcher(credential, createFetcher(credential.clientSecret, options))
    case 'motherduck':
      return createMotherDuckFetcher(credential, createFetcher(credential.adminToken, options), options.motherduckUrl)
    case 'function':
      return createFunctionFetcher(credential.getToken)
    case 'literal':
      return createLiteralFetcher(credential.secret)
  }
}
