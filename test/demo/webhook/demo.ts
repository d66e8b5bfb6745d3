// The webhook's part of the demo: a real kube-apiserver, the broker that it trusts, and the lines that people type.
import { existsSync } from 'node:fs'
import { createAssertions } from '../assertions.ts'
import { useTemporaryFolder } from '../temporary_folder.ts'
import { preparePeers } from './peers.ts'
import {
  adoptScene,
  foreignScene,
  glassScene,
  isAlive,
  outageScene,
  publishScene,
  retagScene,
  reviewScene,
} from './scenes.ts'
import { createStage } from './stage.ts'
import type { Stage } from './stage.ts'
import { startWorld } from './world.ts'
import type { World } from './world.ts'

/** The exit code. */
export async function playWebhookDemo(): Promise<0 | 1> {
  if (!(await preparePeers())) return 1
  const removeFolder = useTemporaryFolder()
  try {
    return await playInWorld()
  } finally {
    removeFolder()
  }
}

async function playInWorld(): Promise<0 | 1> {
  const began = performance.now()
  const { check, conclude } = createAssertions()
  const stage = createStage(check)
  console.log('A kube-apiserver with etcd and the broker that it trusts start, on loopback.')
  const world = await startWorld()
  const pids = world.cluster.apiservers.map(({ pid }) => pid)
  try {
    pids.push(await play(stage, world))
  } finally {
    await world.close()
  }
  stage.scene('Everything is stopped')
  stage.check(!pids.some(isAlive), 'neither the webhook nor the apiserver runs')
  stage.check(!existsSync(world.cluster.folder), 'nothing of the cluster is left')
  console.log(`\nIt took ${Math.round((performance.now() - began) / 1000)} s.`)
  return conclude()
}

/** The process id of the webhook. */
async function play(stage: Stage, world: World): Promise<number> {
  stage.scene(
    '1. A cluster that has a Module already: what the rules would say of it',
    'Nothing of ours is installed yet, and nothing is written.',
  )
  await adoptScene(stage, world)
  const replica = await world.startWebhook()
  stage.part('The webhook is installed: definitions, rights, pipelines.yaml, and registered to fail closed.')

  stage.scene(
    '2. The pipeline of the owning repository publishes 1.2.0',
    'Nothing is stored: the token that the job has anyway becomes one for this cluster, for minutes.',
  )
  await publishScene(stage, world)

  stage.scene(
    '3. The pipeline of another repository tries the same',
    'Kubernetes lets it: its role is the same, and the broker gives it a token of its own.',
  )
  await foreignScene(stage, world)

  stage.scene(
    '4. A maintainer re-tags',
    'The policy lets maintainers publish. What is published stays for them, too.',
  )
  const rules = await retagScene(stage, world)

  stage.scene(
    '5. The same change as a pull request',
    'Denied before the merge, beside the line, without a cluster.',
  )
  await reviewScene(stage, world, rules)

  stage.scene('6. Breaking the glass takes the annotation and the verb')
  await glassScene(stage, world)

  stage.scene('7. The webhook is killed')
  await outageScene(stage, world, replica)
  return replica.pid
}
