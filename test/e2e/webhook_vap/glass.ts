// Breaking the glass: the annotation, the verb, and both.
import type { Test } from 'tap'
import type { Ask, KubeAsker, Told } from '../../support/kube_asker.ts'
import type { KubeCluster } from '../../support/kube_cluster.ts'
import { mustPrint as must } from '../../support/kube_modules.ts'
import { MERGE, placeOf } from './asking.ts'
import type { Json } from './attack.ts'

export async function breakGlass(t: Test, asker: KubeAsker, cluster: KubeCluster): Promise<void> {
  const { path } = placeOf('enforce', 'v1')
  const without = { user: 'bob', groups: ['platform', 'editors'] }
  const breaker = { user: 'carol', groups: ['platform', 'editors', 'breakers'] }
  const removal = (annotations: Json, as: Ask['as']): Promise<Told> =>
    asker.ask({
      method: 'PATCH',
      path: `${path('modules', 'v1')}?dryRun=All`,
      body: { metadata: { annotations }, spec: { versions: [{ version: '1.1.0' }] } },
      contentType: MERGE,
      as,
    })
  const leaked = { 'sallyport.dev/unpublish': 'v1.0.0: leaked a key' }
  t.match(await removal(leaked, without), { status: 403, message: 'WH-V1: version 1.0.0 was published' })
  t.match(await removal({}, breaker), { status: 403, message: 'WH-V1: ' }, 'the verb alone')
  t.match(await removal({ 'sallyport.dev/unpublish': '1.0.0' }, breaker), { status: 403 }, 'no reason')
  t.match(await removal({ 'sallyport.dev/unpublish': '1.1.0: other' }, breaker), { status: 403 })
  t.match(
    await removal({ 'sallyport.dev/unpublish': '*: all' }, breaker),
    { status: 403 },
    'a star removes none',
  )
  const broken = await removal(leaked, breaker)
  t.match(broken, { status: 200, warnings: [/WH-V1: .*unpublished \("leaked a key"\)/] })
  const moved = { spec: { moduleConfig: { repoOwner: 'other', storageConfig: { s3: { bucket: 'new' } } } } }
  const migrate = (annotations: Json, as: Ask['as']): Promise<Told> =>
    asker.ask({
      method: 'PATCH',
      path: `${path('modules', 'v1')}?dryRun=All`,
      body: { metadata: { annotations }, ...moved },
      contentType: MERGE,
      as,
    })
  const why = { 'sallyport.dev/migrate': 'the bucket moved' }
  t.match(await migrate(why, without), { status: 403, message: 'WH-M2: ' })
  t.match(await migrate({}, breaker), { status: 403, message: /WH-M2: [^]*WH-M6: / })
  const migrated = await migrate(why, breaker)
  t.equal(migrated.status, 200, migrated.message)
  t.match(migrated.warnings.join(' '), /WH-M2: .*migrated[^]*WH-M6: .*migrated/)
  const strict = placeOf('enforce-strict', 'm2-platform')
  const platform = (annotations: Json, as: Ask['as']): Promise<Told> =>
    asker.ask({
      method: 'PATCH',
      path: `${strict.path('providers', strict.name)}?dryRun=All`,
      body: { metadata: { annotations }, spec: { providerConfig: { operatingSystems: ['linux'] } } },
      contentType: MERGE,
      as,
    })
  t.match(await platform(why, without), { status: 403, message: 'WH-M2: ' })
  t.match(await platform(why, breaker), { status: 200, warnings: [/WH-M2: .*migrated/] })
  const deletion = (as: Ask['as']): Promise<Told> =>
    asker.ask({ method: 'DELETE', path: `${path('modules', 'm12')}?dryRun=All`, as })
  await must(cluster, [
    'annotate',
    'module',
    'm12',
    '-n',
    'enforce',
    'sallyport.dev/unpublish=*: it was a test',
  ])
  t.match(await deletion(without), { status: 403, message: 'WH-M12: ' })
  t.match(await deletion(breaker), { status: 200, warnings: [/WH-M12: .*unpublished/] })
}
