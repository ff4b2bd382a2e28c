import type { FoundServer } from '../temporal/find-server.ts'

/** The Web UI's page of a workflow; null where the UI's address is not known. */
export function workflowUrl({ uiUrl, namespace }: FoundServer, { workflowId }: { workflowId: string }): string | null {
  return uiUrl === null
    ? null
    : `${uiUrl}/namespaces/${encodeURIComponent(namespace)}/workflows/${encodeURIComponent(workflowId)}`
}
