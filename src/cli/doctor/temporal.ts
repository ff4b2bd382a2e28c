/** Whether a Temporal server answers, and what `build` would do about it if none does. */
import { MillraceError } from '../../errors.ts'
import { findProgram } from '../../temporal/find-program.ts'
import { findTemporalServer, type FoundServer } from '../../temporal/find-server.ts'
import type { CommandContext } from '../command.ts'
import { failed, ok, warn, type Check } from './check.ts'
import { checkSearchAttributes } from './search-attributes.ts'

export async function checkTemporal({ root, options, env }: CommandContext): Promise<Check[]> {
  const { address, namespace } = options
  try {
    const server = await findTemporalServer({
      address,
      namespace,
      projectRoot: root,
      env,
      onProgress: () => {},
      mayStart: false,
    })
    const ui = server.uiUrl === null ? '' : `, Web UI at ${server.uiUrl}`
    const said = `${ORIGINS[server.kind]} answers at ${server.address}, namespace ${server.namespace}${ui}`
    return [ok('temporal', said), await checkSearchAttributes(server, options)]
  } catch (error) {
    // A server that was named is never replaced by another: `build` would fail as this does.
    const unnamed =
      error instanceof MillraceError &&
      error.code === 'TEMPORAL_UNAVAILABLE' &&
      error.message.startsWith('No Temporal server found')
    if (!unnamed) return [failed('temporal', error, 'Check the address and the Temporal environment variables.')]
    return [warn('temporal', 'no server answers; `build` would start an embedded one', embeddedHint(env))]
  }
}

const ORIGINS: Readonly<Record<FoundServer['kind'], string>> = {
  address: 'the server of --address',
  environment: 'the server of the environment or the Temporal config profile',
  project: "this project's embedded server",
  local: 'a server on this machine',
  embedded: 'an embedded server',
}

function embeddedHint(env: NodeJS.ProcessEnv): string {
  const temporal = findProgram('temporal', env)
  if (temporal !== null)
    return `Nothing to do: it would run ${temporal}. For a server of your own, set TEMPORAL_ADDRESS.`
  const download = 'it would use the Temporal CLI in its cache, or download it'
  const go = findProgram('go', env)
  if (go !== null) return `Nothing to do: ${download}, or build it once with ${go}, which takes minutes.`
  return `${download}; without internet, install the Temporal CLI or Go, or set TEMPORAL_ADDRESS.`
}
