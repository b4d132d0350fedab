// After a lost connection or server, unchanged pages show each message once and in order.

import { TIMES, onEachTransport, sees } from './support/chat.mjs';

for (const way of ['cut', 'reset']) {
  const end = way === 'cut' ? 'FIN' : 'RST';
  onEachTransport(`a page whose connection is ended by ${end} shows each message once, in order`, async (t, scene) => {
    const { place, ann, admin, sent, send } = await scene();
    for (let time = 0; time < TIMES; time += 1) {
      await send(admin);
      place.proxy.refuse();
      place.proxy.all(way);
      await send(admin);
      await sees(ann, 'Offline');
      await send(admin);
      place.proxy.accept();
      await sees(ann, 'Online');
      await send(ann);
      await ann.reads('.message', sent);
    }
    await admin.reads('.message', sent);
  });
}

onEachTransport('a page whose network falls silent shows each message once, in order, and nothing late', async (t, scene) => {
  const { place, ann, admin, sent, send } = await scene({ args: ['--ping-interval', '1s', '--ping-timeout', '2s'] });
  for (let time = 0; time < TIMES; time += 1) {
    await send(admin);
    place.proxy.all('silence');
    await send(admin);
    await sees(ann, 'Offline');
    // A browser that changes to another network drops its old connections, which the server cannot notice.
    place.proxy.all('lose');
    await send(admin);
    await sees(ann, 'Online');
    await ann.reads('.message', sent);
    // Longer than the server takes to detect that the old connection is dead.
    await ann.page.waitForTimeout(4000);
    await send(ann);
    await ann.reads('.message', sent);
  }
  await admin.reads('.message', sent);
});

onEachTransport('pages show each message once, in order, after the server was killed while they wrote', async (t, scene) => {
  const { place, ann, admin, sent, send } = await scene();
  for (let time = 0; time < TIMES; time += 1) {
    for (let part = 0; part < 3; part += 1) await send(part % 2 ? ann : admin);
    await ann.reads('.message', sent);
    await place.server.kill();
    // A message written before the page notices the loss is lost in the page, which believes that it was sent.
    await sees(ann, 'Offline');
    await place.server.restart();
    await sees(ann, 'Online');
    await send(ann);
    await ann.reads('.message', sent);
    await admin.reads('.message', sent);
  }
});
