-- Every CR and DX that did not come from the node goes to the node.
function OnStoredInstance(instanceId, tags, metadata, origin)
  if tags["Modality"] == "CR" or tags["Modality"] == "DX" then
    SendToModality(instanceId, "node")
  end
end
