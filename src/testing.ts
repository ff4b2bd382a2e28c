/** Helpers for tests of workers that use Millrace. */
import './dispose-symbols.ts'
export { startEmbeddedServer, type EmbeddedServer } from './temporal/embedded-server.ts'
export { connectionRegistry } from './connections/registry.ts'
