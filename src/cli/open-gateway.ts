/** The database of the gateway a verb names, without loading the models: a broken model must not stand in the way of a backup. */
import { parseConnection, type ConnectionConfig } from '../connections/config.ts'
import type { Lease } from '../connections/lease.ts'
import { connectionRegistry } from '../connections/registry.ts'
import { loadConfig, type ProjectConfig } from '../project/config.ts'
import { chooseGateway } from '../project/gateways.ts'
import type { CommandContext } from './command.ts'

export interface Gateway {
  config: ProjectConfig
  name: string
  connection: ConnectionConfig
}

/** @throws MillraceError CONFIG */
export async function readGateway({ root, options, env, output }: CommandContext): Promise<Gateway> {
  const config = await loadConfig(root, env)
  for (const notice of config.notices) output.notice(notice)
  return openGateway(config, root, options.gateway)
}

/** @param wanted null for the default gateway. @throws MillraceError CONFIG */
export function openGateway(config: ProjectConfig, root: string, wanted: string | null): Gateway {
  const name = chooseGateway(config, wanted)
  return {
    config,
    name,
    connection: parseConnection(config.gateways[name]?.connection ?? {}, { root, env: config.env }),
  }
}

/** Runs `work` on a lease; the database is closed when it returns. Waits for a file that is held, saying by whom. */
export async function withLease<T>(
  connection: ConnectionConfig,
  { options, output }: CommandContext,
  work: (lease: Lease) => Promise<T>,
): Promise<T> {
  const registry = connectionRegistry()
  const owner = registry.attach('command')
  try {
    await using lease = await registry.lease(connection, {
      holder: 'command',
      lockTimeoutMs: options.lockTimeoutSeconds * 1000,
      onWaiting: (message) => output.say(message),
    })
    return await work(lease)
  } finally {
    // The last owner closes the database, so that the process can end.
    await owner.detach()
  }
}
