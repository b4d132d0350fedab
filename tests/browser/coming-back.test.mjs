// Unchanged pages show each message once and in order after connections and servers were lost.

import { TIMES, onEachTransport, sees } from './support/chat.mjs';

for (const way of ['cut', 'reset']) {
  onEachTransport(`a page whose connection is ended by ${way === 'cut' ? 'FIN' : 'RST'} shows each message once, in order`, async (t, scene) => {
    const { place, ann, admin, said, say } = await scene();
    for (let time = 0; time < TIMES; time += 1) {
      await say(admin);
      place.proxy.refuse();
      place.proxy.all(way);
      await say(admin);
      await sees(ann, 'Offline');
      await say(admin);
      place.proxy.accept();
      await sees(ann, 'Online');
      await say(ann);
      await ann.reads('.message', said);
    }
    await admin.reads('.message', said);
  });
}

onEachTransport('a page whose network falls silent shows each message once, in order, and nothing late', async (t, scene) => {
  const { place, ann, admin, said, say } = await scene({ args: ['--ping-interval', '1s', '--ping-timeout', '2s'] });
  for (let time = 0; time < TIMES; time += 1) {
    await say(admin);
    place.proxy.all('silence');
    await say(admin);
    await sees(ann, 'Offline');
    // A browser that changes to another network drops its old connections, which the server cannot notice.
    place.proxy.all('lose');
    await say(admin);
    await sees(ann, 'Online');
    await ann.reads('.message', said);
    // Longer than the server takes to detect that the old connection is dead.
    await ann.page.waitForTimeout(4000);
    await say(ann);
    await ann.reads('.message', said);
  }
  await admin.reads('.message', said);
});

onEachTransport('pages show each message once, in order, after the server was killed while they wrote', async (t, scene) => {
  const { place, ann, admin, said, say } = await scene();
  for (let time = 0; time < TIMES; time += 1) {
    for (let part = 0; part < 3; part += 1) await say(part % 2 ? ann : admin);
    await ann.reads('.message', said);
    await place.server.kill();
    // A message written before the page notices the loss is lost in the page, which believes that it was sent.
    await sees(ann, 'Offline');
    await place.server.restart();
    await sees(ann, 'Online');
    await say(ann);
    await ann.reads('.message', said);
    await admin.reads('.message', said);
  }
});
