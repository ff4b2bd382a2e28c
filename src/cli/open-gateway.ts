/** The database of the gateway a verb names, without loading the models: a broken model must not stand in the way of a backup. */
import { leaseCatalogs, type CatalogLeases } from '../activities/catalog-leases.ts'
import { parseConnection, type ConnectionConfig } from '../connections/config.ts'
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

/** Runs `work` on leases of the databases; they are closed when it returns. Waits for a file that is held, saying by whom. */
export async function withLeases<T>(
  connection: ConnectionConfig,
  { options, output }: CommandContext,
  work: (leases: CatalogLeases) => Promise<T>,
): Promise<T> {
  const registry = connectionRegistry()
  const owner = registry.attach('command')
  try {
    await using leases = leaseCatalogs(
      { connection, lease: (lease) => registry.lease(connection, lease) },
      {
        holder: 'command',
        lockTimeoutMs: options.lockTimeoutSeconds * 1000,
        onWaiting: (message) => output.say(message),
      },
    )
    return await work(leases)
  } finally {
    // The last owner closes the database, so that the process can end.
    await owner.detach()
  }
}
