// Everything starts here.

startTheme();
startMap();
startGrid();
startEvents();
byId("new-override").addEventListener("click", () => openChange({}));
parts.push({ path: () => "/api/v1/status", show: showStatus }, overridesPart, sitesPart, wipsPart, troubledPart);
startLive();
