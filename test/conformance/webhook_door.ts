// The webhook of the table's cluster, with a recorder beside it that keeps what both were asked.
import type { Test } from 'tap'
import { startKubeWebhook } from '../support/kube_webhook.ts'
import type { KubeWebhook } from '../support/kube_webhook.ts'
import type { Crds, World } from './module_world.ts'
import { startRecorder } from './review_recorder.ts'
import type { Recorder } from './review_recorder.ts'

export type WebhookDoor = { readonly webhook: KubeWebhook; readonly recorder: Recorder }

/** What is stored by then is what the ledger begins with. */
export async function openWebhookDoor(t: Test, { cluster }: World, crds: Crds): Promise<WebhookDoor> {
  const webhook = await startKubeWebhook({ cluster, crds })
  t.teardown(() => webhook.stop())
  return { webhook, recorder: await startRecorder(t, cluster) }
}
